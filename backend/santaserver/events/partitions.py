"""Partitions of the event tables: one for each day, made ahead and dropped when too old.

Events of any other day go to the default partition, so a missing one never loses an event.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from santaserver.db import Connection, rows_of

TABLES = ("event", "file_access_event")
LOCK_KEY = 0x6576656E74
"""Advisory lock, so that one worker at a time does this."""
BATCH = 5_000
"""Rows that one statement deletes, so that none runs into its time limit."""


async def lock(connection: Connection) -> None:
    """Wait for other workers, but only briefly for readers; called at the start of a transaction."""
    await connection.execute("set local lock_timeout = '2s'")
    await connection.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)


async def create_partitions(connection: Connection, first: date, last: date) -> None:
    """Create what is missing between two days; a day with events in the default partition stays there.

    The lock blocks uploads for the few milliseconds that this takes: a row routed to the default partition
    before the change would violate its constraint afterwards.
    """
    await lock(connection)
    for table in TABLES:
        there = await existing(connection, table)
        missing = [day for day in _days(first, last) if day not in there]
        if missing:
            await connection.execute(f"lock table {table} in access exclusive mode")
        for day in missing:
            start = datetime.combine(day, time(), UTC)
            end = start + timedelta(days=1)
            strayed = await connection.fetchval(
                f"select exists (select from {table}_default where occurred_at >= $1 and occurred_at < $2)",  # noqa: S608
                start,
                end,
            )
            if not strayed:
                await connection.execute("select event_partition_create($1, $2)", table, day)


async def existing(connection: Connection, table: str) -> set[date]:
    """Return the days that have a partition."""
    rows = await connection.fetch(
        """select right(c.relname, 8) as day from pg_inherits i join pg_class c on c.oid = i.inhrelid
           where i.inhparent = $1::text::regclass and c.relname ~ '_[0-9]{8}$'""",
        table,
    )
    return {datetime.strptime(row["day"], "%Y%m%d").replace(tzinfo=UTC).date() for row in rows}


async def drop_partition(connection: Connection, table: str, day: date) -> None:
    """Drop one day's events."""
    await lock(connection)
    await connection.execute("select event_partition_drop($1, $2)", table, day)


async def delete_strayed(connection: Connection, table: str, before: datetime) -> int:
    """Delete some of the events that are too old and lie in the default partition; return how many."""
    tag = await connection.execute(
        f"""delete from {table}_default where (occurred_at, id) in (
              select occurred_at, id from {table}_default where occurred_at < $1 limit {BATCH})""",  # noqa: S608
        before,
    )
    return rows_of(tag)


async def delete_older(connection: Connection, table: str, column: str, before: date) -> int:
    """Delete some of the rows that are too old from a table without partitions; return how many."""
    tag = await connection.execute(
        f"""delete from {table} where ctid = any(array(
              select ctid from {table} where {column} < $1 limit {BATCH} for update skip locked))""",  # noqa: S608
        before,
    )
    return rows_of(tag)


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
