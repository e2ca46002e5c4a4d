"""Streams the audit log: one transaction, in portions."""

import asyncio
import logging
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Send

from santaserver.audit import RequestInfo
from santaserver.audit_log.export_lines import lines
from santaserver.current_user import User
from santaserver.errors import Problem, StatementTimeout
from santaserver.outbox import discard
from santaserver.state import AppState

log = logging.getLogger(__name__)

DEADLINE = 600.0
"""Seconds that an export may take in all."""
STALL = 30.0
"""Seconds that a client may read nothing."""


class LogFile(StreamingResponse):
    """The response. Cut off, it lacks the last line, and verification says so."""

    def __init__(self, state: AppState, user: User, request: RequestInfo, media_type: str) -> None:
        """Prepare; the database is asked when the response is sent."""
        headers = {"Content-Disposition": 'attachment; filename="santaserver-audit.jsonl"'}
        super().__init__(iter(()), media_type=media_type, headers=headers)
        self._state = state
        self._user = user
        self._request = request

    async def stream_response(self, send: Send) -> None:
        """Send the file; an incomplete one lacks the end that HTTP requires."""
        started = False
        try:
            async with asyncio.timeout(DEADLINE), self._state.limits.exports.slot(self._user.id):
                await self._record()
                async with (
                    self._state.database.read(self._user.id) as connection,
                    connection.transaction(),
                    aclosing(lines(connection)) as parts,
                ):
                    async for part in parts:
                        if not started:
                            head = {"status": self.status_code, "headers": self.raw_headers}
                            await send({"type": "http.response.start", **head})
                            started = True
                        async with asyncio.timeout(STALL):
                            await send({"type": "http.response.body", "body": part, "more_body": True})
        except (Problem, TimeoutError) as error:
            if not started:
                raise error if isinstance(error, Problem) else StatementTimeout from error
            log.warning(
                "an export of the audit log was cut off: %s", error or "the client read it too slowly"
            )
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _record(self) -> None:
        """Store the audit entry of this export, which is part of it."""
        async with self._state.database.unit_of_work(discard, self._user.id, self._request) as work:
            work.audit(self._user.actor, self._state.clock(), "audit_exported", ("audit", "*"))
