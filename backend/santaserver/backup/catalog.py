"""What a database says of its own tables: names, columns, references, sequences, days of events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from graphlib import TopologicalSorter
from typing import Any

from santaserver.backup.tables import EVENTS

SETTINGS = (
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("lock_timeout", "10s"),
    # Text of the same value is the same everywhere.
    ("timezone", "UTC"),
    ("datestyle", "ISO"),
    ("intervalstyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    # The rows of a large table come in their order.
    ("synchronize_seqscans", "off"),
)
"""Of a session that reads or writes a backup, whatever the database or the role has."""

TABLES = """select c.relname from pg_class c
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"""
COLUMNS = """select c.relname as table, array_agg(a.attname::text order by a.attnum) as columns
from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = current_schema()::regnamespace and c.relname = any($1::text[])
  and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
group by 1"""
REFERENCES = """select distinct t.relname as table, f.relname as before
from pg_constraint k join pg_class t on t.oid = k.conrelid join pg_class f on f.oid = k.confrelid
where k.contype = 'f' and t.relnamespace = current_schema()::regnamespace and t.oid <> f.oid"""
SEQUENCES = """select s.sequencename::text as name, s.data_type::text as type,
  coalesce(s.last_value, 0) as last
from pg_sequences s where s.schemaname = current_schema()"""
DAYS = """select right(c.relname, 8) as day from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = $1::text::regclass and c.relname ~ '_[0-9]{8}$' order by 1"""


async def prepare(connection: Any) -> None:  # noqa: ANN401 - asyncpg has no types
    """Make a session fit to read or write a backup."""
    for name, value in SETTINGS:
        await connection.execute("select set_config($1, $2, false)", name, value)


async def tables(connection: Any) -> set[str]:  # noqa: ANN401
    """Return the names of all tables; those of single days belong to the table of all days."""
    return {row[0] for row in await connection.fetch(TABLES)}


async def columns(connection: Any, names: Iterable[str]) -> dict[str, Sequence[str]]:  # noqa: ANN401
    """Return each table's columns without those that PostgreSQL makes of others."""
    rows = await connection.fetch(COLUMNS, list(names))
    return {row["table"]: row["columns"] for row in rows}


async def in_order(connection: Any, names: Iterable[str]) -> list[str]:  # noqa: ANN401
    """Put tables in an order in which no row refers to one that comes later; those of events are last."""
    before: dict[str, set[str]] = {name: set() for name in names}
    for row in await connection.fetch(REFERENCES):
        if row["table"] in before and row["before"] in before:
            before[row["table"]].add(row["before"])
    sorter = TopologicalSorter(before)
    sorter.prepare()
    found: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        found += ready
        sorter.done(*ready)
    return sorted(found, key=lambda name: name in EVENTS)


async def sequences(connection: Any) -> dict[str, tuple[str, int]]:  # noqa: ANN401
    """Return each sequence's type, and the last number that it gave out or 0."""
    return {row["name"]: (row["type"], row["last"]) for row in await connection.fetch(SEQUENCES)}


async def days(connection: Any, names: Iterable[str]) -> Mapping[str, list[date]]:  # noqa: ANN401
    """Return which days of the tables of events have a partition."""
    found = {}
    for name in sorted(names):
        rows = await connection.fetch(DAYS, name)
        read = [datetime.strptime(row["day"], "%Y%m%d").replace(tzinfo=UTC).date() for row in rows]
        if read:
            found[name] = read
    return found
