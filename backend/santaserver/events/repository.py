"""Reads events: by id, and lists by what the console filters and searches.

Every list is read from indexes in its order. A filter or a search becomes a set of index keys, and for each
key at most one page of events is read; so a search that matches nothing costs about as much as one that
matches half the fleet. Time is searched in growing windows, the newest first: most pages are filled from
today's partition.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from santaserver.db import Connection
from santaserver.events.contradictions import certificate_claims
from santaserver.events.shape import EVENT_COLUMNS, EVENT_JOINS, StoredEvent
from santaserver.paging import like_pattern
from santaserver.protocol.santa_v1_pb2 import Decision
from santaserver.scope import Scope, machine_in

WORDS = tuple(Decision.keys())
GROUPS: dict[str, tuple[str, ...]] = {
    "blocked": tuple(word for word in WORDS if word.startswith("BLOCK")),
    "allowed": tuple(word for word in WORDS if word.startswith("ALLOW")),
    "unknown": ("ALLOW_UNKNOWN", "BLOCK_UNKNOWN"),
}
"""Words for groups of decisions; any other word is an exact decision."""

WINDOWS = (timedelta(days=1), timedelta(days=7), timedelta(days=30))
"""How far back the first looks for a page go; the last one goes all the way."""
BEGINNING = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
MAX_KEYS = 1000
"""Programs, and as many machines, that a search follows one by one; of more, it looks at every event."""

PROGRAMS = """
  select id from program
  where file_name ilike {0} or file_path ilike {0} or signing_id ilike {0} or bundle_name ilike {0}
    or sha256 = lower({1}) or cdhash = lower({1}) or team_id = upper({1})
    or id in (select program_id from program_path where file_path ilike {0} or file_name ilike {0})
"""
MACHINES = "select id from machine where hostname ilike {0} or serial ilike {0} or machine_id = {1}"
"""What a text names: {0} is its pattern, {1} the text itself."""

CERTIFICATES = f"""
  select sha256, cn, org, ou, valid_from, valid_until, {certificate_claims("certificate.sha256")} as claims
  from certificate where sha256 = any($1)
"""  # noqa: S608 - a constant

Position = tuple[datetime, int]
"""(time, id) of a row; lists go from the newest down."""


@dataclass(frozen=True, slots=True)
class Search:
    """The filters of a list of events; empty means everything."""

    text: str = ""
    decision: str = ""
    machine_id: str = ""


@dataclass(frozen=True, slots=True)
class _Keys:
    """Where to look: an indexed column and the values it may have."""

    column: str
    kind: str
    values: Sequence[Any]
    query: str = ""
    """With too many values, the query that finds them; the values are then its own."""


async def list_events(
    connection: Connection, scope: Scope, search: Search, before: Position, limit: int, now: datetime
) -> list[StoredEvent]:
    """Return the newest events that fit, before the given position."""
    keys, conditions = await _plan(connection, search)
    found: list[StoredEvent] = []
    for start, end in _windows(before[0], now):
        query, values = _query(scope, keys, conditions)
        found += await connection.fetch(query, start, end, *before, limit - len(found), *values)
        if len(found) >= limit:
            break
    return found


async def events_by_id(connection: Connection, scope: Scope, ids: Sequence[int]) -> list[StoredEvent]:
    """Return events by id, those that are there."""
    rows = await connection.fetch(
        f"""select {EVENT_COLUMNS} from event e {EVENT_JOINS}
            where e.id = any($1) and {machine_in("e.machine_id", "$2")} order by e.id""",  # noqa: S608
        ids,
        scope.tag_ids,
    )
    return list(rows)


async def events_at(connection: Connection, places: Sequence[Position]) -> list[StoredEvent]:
    """Return events by time and id; only the partitions of their days are looked at."""
    times = [at for at, _ in places]
    rows = await connection.fetch(
        f"""select {EVENT_COLUMNS} from unnest($1::timestamptz[], $2::bigint[]) p(at, number)
            join event e on e.occurred_at = p.at and e.id = p.number and e.occurred_at between $3 and $4
            {EVENT_JOINS} order by e.id""",  # noqa: S608
        times,
        [number for _, number in places],
        min(times),
        max(times),
    )
    return list(rows)


async def certificates(connection: Connection, digests: Sequence[str]) -> dict[str, Any]:
    """Return certificates by SHA-256."""
    if not digests:
        return {}
    rows = await connection.fetch(CERTIFICATES, digests)
    return {row["sha256"]: row for row in rows}


def _windows(before: datetime, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    end = before
    latest = min(before, now)  # a list starts in the future: a Mac's clock may be ahead
    for length in WINDOWS:
        if latest - BEGINNING <= length:
            break
        yield latest - length, end
        end = latest - length
    yield BEGINNING, end


async def _plan(connection: Connection, search: Search) -> tuple[list[_Keys], list[_Keys]]:
    """Choose the keys to follow (any of them) and what else has to hold."""
    machine: list[_Keys] = []
    if search.machine_id:
        number = await connection.fetchval("select id from machine where machine_id = $1", search.machine_id)
        machine.append(_Keys("machine_id", "bigint", [] if number is None else [number]))
    words = GROUPS.get(search.decision, (search.decision,)) if search.decision else ()
    decision = [_Keys("decision", "text", words)] if words else []
    if search.text.strip():
        return await _matches(connection, search.text.strip()), [*machine, *decision]
    if machine:
        return machine, decision
    return decision, []


async def _matches(connection: Connection, text: str) -> list[_Keys]:
    """Find the programs, machines and users that a text names."""
    pattern = like_pattern(text)
    return [
        await _named(connection, "program_id", PROGRAMS, (pattern, text)),
        await _named(connection, "machine_id", MACHINES, (pattern, text)),
        _Keys("executing_user", "text", [text]),
    ]


async def _named(connection: Connection, column: str, query: str, values: tuple[str, str]) -> _Keys:
    rows = await connection.fetch(f"{query.format('$1', '$2')} limit {MAX_KEYS + 1}", *values)
    if len(rows) > MAX_KEYS:
        return _Keys(column, "text", values, query)
    return _Keys(column, "bigint", [row["id"] for row in rows])


def _query(scope: Scope, keys: Sequence[_Keys], conditions: Sequence[_Keys]) -> tuple[str, list[Any]]:
    """Write the statement for one window: $1 ≤ time < or = $2, before ($3, $4), at most $5 rows."""
    values: list[Any] = []

    def number(value: object) -> str:
        values.append(value)
        return f"${len(values) + 5}"

    def several(of: _Keys) -> str:
        return f"{number(list(of.values))}::{of.kind}[]"

    holds = "occurred_at >= $1 and occurred_at <= $2 and (occurred_at, id) < ($3, $4)"
    for condition in conditions:
        holds += f" and {condition.column} = any({several(condition)})"
    if not scope.everywhere:
        holds += f" and {machine_in('machine_id', number(scope.tag_ids))}"
    order = "order by occurred_at desc, id desc limit $5"

    def place(key: _Keys) -> str:
        if key.query:
            named = key.query.format(*(f"{number(value)}::text" for value in key.values))
            return f"(select occurred_at, id from event where {key.column} in ({named}) and {holds} {order})"  # noqa: S608
        return f"""select e.occurred_at, e.id from unnest({several(key)}) k(value) cross join lateral (
              select occurred_at, id from event where {key.column} = k.value and {holds} {order}) e"""  # noqa: S608

    places = " union ".join(map(place, keys))
    if not keys:
        places = f"select occurred_at, id from event where {holds} {order}"  # noqa: S608
    return (
        f"""with place as (select * from ({places}) found {order})
            select {EVENT_COLUMNS} from place
            join event e on e.occurred_at = place.occurred_at and e.id = place.id {EVENT_JOINS}
            order by e.occurred_at desc, e.id desc""",  # noqa: S608
        values,
    )
