"""The live rules as a file: one statement, one snapshot, in portions."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from santaserver.audit import RequestInfo
from santaserver.current_user import User
from santaserver.layers.service import find_layer
from santaserver.outbox import discard
from santaserver.rules.repository import exported_rules
from santaserver.rules.transfer_schemas import FileFormat
from santaserver.rules.transfer_write import FileWriter
from santaserver.scope import Scope
from santaserver.state import AppState

PORTION = 200
"""Rules that are held at a time; the largest possible ones take 5 MB together."""

TYPES: dict[FileFormat, str] = {"json": "application/json", "csv": "text/csv"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported, and for whom."""

    kind: FileFormat
    layer: str | None
    user: User
    scope: Scope
    request: RequestInfo


class RuleFile:
    """The rules of a layer or of all."""

    what = "rules"
    deadline = 300.0

    def __init__(self, state: AppState, wanted: Wanted) -> None:
        """Prepare an export."""
        self._state = state
        self._wanted = wanted
        self._writer = FileWriter(wanted.kind)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield the rules."""
        state, wanted = self._state, self._wanted
        async with state.limits.exports.slot(wanted.user.id):
            layer = await self._record()
            async with state.database.read(wanted.user.id) as connection, connection.transaction():
                cursor = await exported_rules(connection, wanted.scope, layer)
                while rows := await cursor.fetch(PORTION):
                    yield self._writer.portion([tuple(row) for row in rows])
                yield self._writer.end()

    def broken_off(self) -> bytes:
        """Return a marker of an incomplete file, which import refuses."""
        return self._writer.broken_off()

    async def _record(self) -> int | None:
        """Store the audit entry before anything is sent; return the layer's number, if one is wanted."""
        state, wanted = self._state, self._wanted
        async with state.database.unit_of_work(discard, wanted.user.id, wanted.request) as work:
            name = wanted.layer
            layer = None if name is None else await find_layer(work.connection, wanted.scope, name)
            after = {"format": wanted.kind}
            work.audit(
                wanted.user.actor, state.clock(), "rules_exported", ("layer", name or "*"), None, after
            )
        return None if layer is None else layer.id
