"""Streams the live rules as a file: one statement, one snapshot, in portions."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass

from starlette.responses import StreamingResponse
from starlette.types import Send

from santaserver.audit import RequestInfo
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import Problem, StatementTimeout
from santaserver.layers.service import find_layer
from santaserver.outbox import discard
from santaserver.rules.repository import exported_rules
from santaserver.rules.transfer_schemas import FileFormat
from santaserver.rules.transfer_write import FileWriter
from santaserver.scope import Scope
from santaserver.state import AppState

log = logging.getLogger(__name__)

PORTION = 200
"""Rules that are held at a time; the largest possible ones take 5 MB together."""
DEADLINE = 300.0
"""Seconds that an export may take in all."""
STALL = 30.0
"""Seconds that a client may read nothing."""
FAREWELL = 1.0

TYPES: dict[FileFormat, str] = {"json": "application/json", "csv": "text/csv"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported, and for whom."""

    kind: FileFormat
    layer: str | None
    user: User
    scope: Scope
    request: RequestInfo


class RuleFile(StreamingResponse):
    """The response; an error before the first rule is a problem, a later one closes the connection."""

    def __init__(self, state: AppState, wanted: Wanted) -> None:
        """Prepare; the database is asked when the response is sent."""
        name = f"santaserver-rules.{wanted.kind}"
        super().__init__(
            iter(()),
            media_type=TYPES[wanted.kind],
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
        self._state = state
        self._wanted = wanted

    async def stream_response(self, send: Send) -> None:
        """Send the file; an incomplete one lacks the end that HTTP requires."""
        writer = FileWriter(self._wanted.kind)
        started = False
        try:
            async with asyncio.timeout(DEADLINE), aclosing(self._parts(writer)) as parts:
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
            log.warning("an export of rules was cut off: %s", error or "the client read it too slowly")
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await send({"type": "http.response.body", "body": writer.broken_off(), "more_body": True})
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _parts(self, writer: FileWriter) -> AsyncGenerator[bytes, None]:
        state, wanted = self._state, self._wanted
        async with state.limits.exports.slot(wanted.user.id):
            layer = await self._record()
            async with state.database.read(wanted.user.id) as connection, connection.transaction():
                async for part in _file(connection, wanted.scope, layer, writer):
                    yield part

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


async def _file(
    connection: Connection, scope: Scope, layer: int | None, writer: FileWriter
) -> AsyncGenerator[bytes, None]:
    cursor = await exported_rules(connection, scope, layer)
    while rows := await cursor.fetch(PORTION):
        yield writer.portion([tuple(row) for row in rows])
    yield writer.end()
