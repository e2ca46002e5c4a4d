"""Keeps a partition of the event table ready for each day, some days ahead.

Events of any other day go to the default partition, so a missing one never loses an event.
"""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import asyncpg

from santaserver.clock import Clock
from santaserver.db import Connection, Database, describe
from santaserver.errors import DatabaseUnavailable
from santaserver.live.outbox import discard

log = logging.getLogger(__name__)

DAYS_BACK = 1
DAYS_AHEAD = 7
EVERY = timedelta(hours=6)
RETRY = timedelta(seconds=30)
LOCK_KEY = 0x6576656E74
"""Advisory lock, so that one worker at a time does this."""


async def keep_partitions(database: Database, clock: Clock) -> None:
    """Look after the partitions until cancelled."""
    while True:
        pause = EVERY
        today = clock().date()
        try:
            async with database.transaction(discard) as (connection, _):
                await create_partitions(
                    connection, today - timedelta(days=DAYS_BACK), today + timedelta(days=DAYS_AHEAD)
                )
        except (DatabaseUnavailable, asyncpg.UndefinedTableError, asyncpg.LockNotAvailableError) as error:
            log.debug("event partitions wait: %s", describe(error))
            pause = RETRY
        await asyncio.sleep(pause.total_seconds())


async def create_partitions(connection: Connection, first: date, last: date) -> None:
    """Create what is missing between two days; a day with events in the default partition stays there."""
    await connection.execute("set local lock_timeout = '2s'")
    await connection.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)
    for day in _days(first, last):
        name = f"event_{day:%Y%m%d}"
        if await connection.fetchval("select to_regclass($1)", name) is not None:
            continue
        start = datetime.combine(day, time(), UTC)
        end = start + timedelta(days=1)
        strayed = await connection.fetchval(
            "select exists (select from event_default where occurred_at >= $1 and occurred_at < $2)",
            start,
            end,
        )
        if not strayed:
            await connection.execute(
                f"create table {name} partition of event for values from ('{start}') to ('{end}')"
            )


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
