"""Streams the live rules as a file: one statement, one snapshot, a portion at a time."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import StreamingResponse
from starlette.types import Send

from santaserver.current_user import User
from santaserver.db import Connection, driver
from santaserver.errors import Problem, StatementTimeout
from santaserver.layers.service import find_layer
from santaserver.rules.reads import LAYER
from santaserver.rules.transfer_schemas import FileFormat
from santaserver.rules.transfer_write import FileWriter
from santaserver.state import AppState

log = logging.getLogger(__name__)

PORTION = 200
"""Rules that are held at a time; the largest possible ones take 5 MB together."""
DEADLINE = 300.0
"""Seconds until an export has to be through, however slowly it is taken."""
STALL = 30.0
"""Seconds that a client may take nothing of it."""
FAREWELL = 1.0

TYPES: dict[FileFormat, str] = {"json": "application/json", "csv": "text/csv"}

RULES = f"""select * from (
    select ({LAYER}) collate "C" as layer,
      r.rule_type, r.identifier, v.policy, v.cel_expr, v.custom_msg, v.custom_url, r.comment, v.locked,
      case when v.opened_seq is null then v.starts_at end as starts_at, v.expires_at
    from rule r
    join rule_version v on v.rule_id = r.id and v.closed_seq is null and v.cancelled_at is null
    join layer l on l.id = r.layer_id
    left join tag t on t.id = l.tag_id
    left join machine m on m.id = l.machine_id
    where r.removed_at is null and ($1::bigint is null or r.layer_id = $1)) rules
  order by layer, rule_type, identifier"""  # noqa: S608 - constants
"""The columns are those of the file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported, and for whom."""

    kind: FileFormat
    layer: str | None
    user: User


class RuleFile(StreamingResponse):
    """The answer; what goes wrong before the first rule is a problem, later the connection is cut."""

    def __init__(self, state: AppState, wanted: Wanted) -> None:
        """Prepare; the database is asked when the answer is sent."""
        name = f"santaserver-rules.{wanted.kind}"
        super().__init__(
            iter(()),
            media_type=TYPES[wanted.kind],
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
        self._state = state
        self._wanted = wanted

    async def stream_response(self, send: Send) -> None:
        """Send the file; one that could not be finished ends without the end that HTTP asks for."""
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
        async with (
            state.limits.exports.slot(wanted.user.id),
            state.database.session(state.bus.publish, wanted.user.id) as session,
        ):
            connection = await driver(session)
            async for part in _file(session, connection, wanted.layer, writer):
                yield part


async def _file(
    session: AsyncSession, connection: Connection, layer: str | None, writer: FileWriter
) -> AsyncGenerator[bytes, None]:
    number = None if layer is None else (await find_layer(session, layer)).id
    cursor = await connection.cursor(RULES, number)
    while rows := await cursor.fetch(PORTION):
        yield writer.portion([tuple(row) for row in rows])
    yield writer.end()
