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
        except Exception:
            log.exception("event partitions could not be made; events of new days go to the default one")
            pause = RETRY
        await asyncio.sleep(pause.total_seconds())


async def create_partitions(connection: Connection, first: date, last: date) -> None:
    """Create what is missing between two days; a day with events in the default partition stays there.

    The lock keeps uploads waiting for the few milliseconds that this takes: one that had chosen a
    partition before would be refused by the default one after.
    """
    await connection.execute("set local lock_timeout = '2s'")
    await connection.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)
    missing = [day for day in _days(first, last) if not await _exists(connection, day)]
    if missing:
        await connection.execute("lock table event in access exclusive mode")
    for day in missing:
        start = datetime.combine(day, time(), UTC)
        end = start + timedelta(days=1)
        strayed = await connection.fetchval(
            "select exists (select from event_default where occurred_at >= $1 and occurred_at < $2)",
            start,
            end,
        )
        if not strayed:
            bounds = f"for values from ('{start}') to ('{end}')"
            await connection.execute(f"create table {_name(day)} partition of event {bounds}")


async def _exists(connection: Connection, day: date) -> bool:
    return await connection.fetchval("select to_regclass($1)", _name(day)) is not None


def _name(day: date) -> str:
    return f"event_{day:%Y%m%d}"


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
