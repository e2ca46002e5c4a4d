"""Keeps the event tables in order: tomorrow's partitions made, old ones dropped, old counts deleted.

Runs in the background, in small transactions with a deadline each, and can stop at any point: the rest is
done in the next round.
"""

import asyncio
import logging
from datetime import UTC, date, datetime, time, timedelta

import asyncpg

from santaserver.clock import Clock
from santaserver.db import Database
from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.events import counts, partitions
from santaserver.outbox import discard
from santaserver.postgres.failures import describe
from santaserver.settings import RetentionSettings

log = logging.getLogger(__name__)

DAYS_BACK = 1
DAYS_AHEAD = 7
EVERY = timedelta(hours=1)
RETRY = timedelta(seconds=30)
DEADLINE = timedelta(minutes=10)
"""For one round; what is left is done in the next."""

LATER = (
    TimeoutError,
    DatabaseUnavailable,
    StatementTimeout,
    asyncpg.UndefinedTableError,
    asyncpg.LockNotAvailableError,
)
"""Failures that are retried soon and need no attention."""


async def keep_in_order(database: Database, clock: Clock, keep: RetentionSettings) -> None:
    """Maintain the event tables until canceled."""
    while True:
        pause = EVERY
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                await run_once(database, clock().date(), keep)
        except LATER as error:
            log.debug("event tables wait: %s", describe(error))
            pause = RETRY
        except Exception:
            log.exception("maintenance of the event tables failed; the next try is in %s", RETRY)
            pause = RETRY
        await asyncio.sleep(pause.total_seconds())


async def run_once(database: Database, today: date, keep: RetentionSettings) -> None:
    """Make the coming days' partitions, then remove what is older than is to be kept."""
    async with database.transaction(discard) as (connection, _):
        await partitions.create_partitions(
            connection, today - timedelta(days=DAYS_BACK), today + timedelta(days=DAYS_AHEAD)
        )
    first = today - timedelta(days=keep.event_days)
    for table in partitions.TABLES:
        await _drop_old(database, table, first)
    await counts.move_all(database)
    begin = datetime.combine(first, time(), UTC)
    counted = today - timedelta(days=keep.count_days)
    for table, column, before in (
        ("agent_audit_event", "occurred_at", begin),
        ("program_day", "day", counted),
        ("event_hour", "hour", datetime.combine(counted, time(), UTC)),
    ):
        async with database.statements() as connection:
            while await partitions.delete_older(connection, table, column, before):
                log.debug("deleted rows before %s from %s", before, table)


async def _drop_old(database: Database, table: str, first: date) -> None:
    async with database.statements() as connection:
        there = await partitions.existing(connection, table)
    for day in sorted(day for day in there if day < first):
        async with database.transaction(discard) as (connection, _):
            await partitions.drop_partition(connection, table, day)
        log.info("dropped events of %s: they are past their retention", day)
    begin = datetime.combine(first, time(), UTC)
    async with database.statements() as connection:
        while await partitions.delete_strayed(connection, table, begin):
            log.debug("deleted events before %s from %s_default", begin, table)
