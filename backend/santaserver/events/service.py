"""Shows stored events."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from santaserver.db import Connection
from santaserver.errors import BadRequest, NotFound
from santaserver.events import repository
from santaserver.events.repository import Position, Search
from santaserver.events.schemas import Event
from santaserver.events.shape import StoredEvent, digests, position, show
from santaserver.inputs import MAX_ROW_ID, storable_time
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.scope import Scope


async def list_events(
    connection: Connection, scope: Scope, cursor: str | None, limit: int, search: Search, now: datetime
) -> Page[Event]:
    """Return a page of events, the newest first."""
    before = position_of(cursor) or newest(now)
    rows = await repository.list_events(connection, scope, search, before, limit + 1, now)
    page = rows[:limit]
    following = None
    if len(rows) > limit:
        at, number = position(page[-1])
        following = encode_cursor((at.isoformat(), number))
    return Page(items=await _show(connection, page), next_cursor=following)


async def get_event(connection: Connection, scope: Scope, event_id: int) -> Event:
    """Return one event."""
    rows = await repository.events_by_id(connection, scope, [event_id])
    if not rows:
        raise NotFound("There is no such event; it may have been deleted by age")
    return (await _show(connection, rows))[0]


def newest(now: datetime) -> Position:
    """Return a position before everything: a Mac's clock may be ahead of ours."""
    return now + timedelta(days=2), MAX_ROW_ID


def position_of(cursor: str | None) -> Position | None:
    """Read a cursor of a list by time; raise `BadRequest` when it is damaged."""
    key = decode_cursor(cursor, (str, int))
    if key is None:
        return None
    try:
        at = storable_time(datetime.fromisoformat(str(key[0])))
    except ValueError as error:
        raise BadRequest("The cursor is invalid; start again without one") from error
    return at, int(key[1])


async def _show(connection: Connection, rows: Sequence[StoredEvent]) -> list[Event]:
    known = await repository.certificates(connection, digests(rows))
    return [show(row, known) for row in rows]
