"""Shows the catalog of programs."""

from datetime import datetime

from santaserver.db import Connection
from santaserver.errors import NotFound
from santaserver.events.contradictions import parsed
from santaserver.events.service import newest, position_of
from santaserver.paging import Page, encode_cursor
from santaserver.programs import repository
from santaserver.programs.repository import Row
from santaserver.programs.schemas import Outcome, Program

PREFIXES: dict[Outcome | None, str] = {None: "", "blocked": "BLOCK", "allowed": "ALLOW"}


async def list_programs(
    connection: Connection, cursor: str | None, limit: int, text: str, outcome: Outcome | None, now: datetime
) -> Page[Program]:
    """Return a page of programs, those seen last first."""
    before = position_of(cursor) or newest(now)
    rows = await repository.list_programs(connection, text, PREFIXES[outcome], before, limit + 1)
    items = [_shown(row) for row in rows[:limit]]
    following = None
    if len(rows) > limit:
        following = encode_cursor((items[-1].last_seen_at.isoformat(), items[-1].id))
    return Page(items=items, next_cursor=following)


async def get_program(connection: Connection, number: int) -> Program:
    """Return one program."""
    row = await repository.find_program(connection, number)
    if row is None:
        raise NotFound("There is no such program")
    return _shown(row)


def _shown(row: Row) -> Program:
    claims = {name: parsed(row[name]) for name in ("claims", "certificate_claims", "bundle_claims")}
    return Program.model_validate({**row, **claims})
