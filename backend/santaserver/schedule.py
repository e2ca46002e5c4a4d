"""The task of every worker that applies scheduled rules in time, and deletes old syncs and history."""

import asyncio
import logging
from datetime import datetime, timedelta

import asyncpg

from santaserver.clock import Clock
from santaserver.db import Connection, Database, rows_of
from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.outbox import Publish
from santaserver.policy.schedule import apply_due
from santaserver.postgres.failures import describe
from santaserver.settings import RetentionSettings
from santaserver.sync.history import prune_history
from santaserver.unit_of_work import UnitOfWork
from santaserver.users.login_repository import forget_old_failures

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=10)
RETRY = timedelta(seconds=30)
PRUNE_EVERY = timedelta(hours=1)
PRUNE_BATCH = 10_000

LATER = (DatabaseUnavailable, StatementTimeout, asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)
"""Failures that are retried soon and need no attention."""


async def keep_schedule(database: Database, clock: Clock, publish: Publish, keep: RetentionSettings) -> None:
    """Apply the schedule and delete what is too old until canceled."""
    pruned_at: datetime | None = None
    while True:
        pause, now = EVERY, clock()
        try:
            async with database.transaction(publish) as (connection, outbox):
                due_at = await connection.fetchval("select next_change_at from policy_head")
                if due_at is not None and due_at <= now:
                    work = UnitOfWork(connection, outbox=outbox)
                    await apply_due(work, now)
                    await work.finish()
            if pruned_at is None or now - pruned_at >= PRUNE_EVERY:
                async with database.transaction(publish) as (connection, _):
                    sessions = await prune_sessions(connection, now - timedelta(days=keep.sync_days))
                    failures = await forget_old_failures(connection, now, PRUNE_BATCH)
                    history = await prune_history(connection, now, keep, PRUNE_BATCH)
                if max(sessions, failures, history) < PRUNE_BATCH:  # else the next turn goes on
                    pruned_at = now
        except LATER as error:
            log.debug("the schedule waits: %s", describe(error))
            pause = RETRY
        except Exception:
            log.exception("cannot apply scheduled activations and expiries; preflights will try as well")
            pause = RETRY
        await asyncio.sleep(pause.total_seconds())


async def prune_sessions(connection: Connection, before: datetime) -> int:
    """Delete some syncs that began before a time, and return how many; no decision depends on them."""
    tag = await connection.execute(
        """delete from sync_session where (machine_id, id) in (
             select machine_id, id from sync_session where started_at < $1 limit $2
             for update skip locked)""",
        before,
        PRUNE_BATCH,
    )
    return rows_of(tag)
