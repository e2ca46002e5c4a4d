"""The audit log as a file: one transaction, in portions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from santaserver.audit import RequestInfo
from santaserver.audit_log.export_lines import lines
from santaserver.current_user import User
from santaserver.outbox import discard
from santaserver.state import AppState


class LogFile:
    """The log. Cut off, it lacks the last line, and verification says so."""

    what = "the audit log"
    deadline = 600.0

    def __init__(self, state: AppState, user: User, request: RequestInfo) -> None:
        """Prepare an export for a user."""
        self._state = state
        self._user = user
        self._request = request

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield the lines."""
        async with self._state.limits.exports.slot(self._user.id):
            await self._record()
            async with (
                self._state.database.read(self._user.id) as connection,
                connection.transaction(),
                aclosing(lines(connection)) as parts,
            ):
                async for part in parts:
                    yield part

    def broken_off(self) -> bytes:
        """Return nothing: what follows a line would not be one."""
        return b""

    async def _record(self) -> None:
        """Store the audit entry of this export, which is part of it."""
        async with self._state.database.unit_of_work(discard, self._user.id, self._request) as work:
            work.audit(self._user.actor, self._state.clock(), "audit_exported", ("audit", "*"))
