"""Makes activations and expiries entries of the policy log, so that Macs are sent them like any change.

Done by a task of every worker and, when one is due, by whichever preflight comes first: what a Mac
should have stays a function of its signature and a policy number alone.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from santaserver.clock import Clock
from santaserver.db import Connection, Database, rows_of
from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.live.messages import Lagged, message
from santaserver.live.outbox import Outbox, Publish
from santaserver.policy_head import Head
from santaserver.postgres.failures import describe
from santaserver.users.login_repository import forget_old_failures

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=10)
RETRY = timedelta(seconds=30)
KEEP_SESSIONS = timedelta(days=90)
"""How long finished syncs that sent something are shown."""
PRUNE_EVERY = timedelta(hours=1)
PRUNE_BATCH = 10_000

LATER = (DatabaseUnavailable, StatementTimeout, asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)
"""Reasons to try again soon that need nobody's attention."""


async def keep_schedule(database: Database, clock: Clock, publish: Publish) -> None:
    """Look after the schedule and the age of sync sessions until cancelled."""
    pruned_at: datetime | None = None
    while True:
        pause, now = EVERY, clock()
        try:
            async with database.transaction(publish) as (connection, outbox):
                due_at = await connection.fetchval("select next_change_at from policy_head")
                if due_at is not None and due_at <= now:
                    await apply_due(connection, outbox, now)
            if pruned_at is None or now - pruned_at >= PRUNE_EVERY:
                async with database.transaction(publish) as (connection, _):
                    sessions = await prune_sessions(connection, now)
                    failures = await forget_old_failures(connection, now, PRUNE_BATCH)
                if max(sessions, failures) < PRUNE_BATCH:  # else the next turn goes on
                    pruned_at = now
        except LATER as error:
            log.debug("the schedule waits: %s", describe(error))
            pause = RETRY
        except Exception:
            log.exception("activations and expiries that are due could not be made; preflights try as well")
            pause = RETRY
        await asyncio.sleep(pause.total_seconds())


async def apply_due(connection: Connection, outbox: Outbox, now: datetime) -> Head:
    """Open and close every version whose time has come, under one number; return the policy's numbers.

    Whoever comes second waits for the first one's lock, and then finds nothing left to do.
    """
    head = _head(
        await connection.fetchrow(
            "select seq, settings_seq, layer_version, next_change_at from policy_head for update"
        )
    )
    if head.next_change_at is None or head.next_change_at > now:
        return head
    seq = head.seq + 1
    opened = await connection.fetch(
        """update rule_version set opened_seq = $1 where opened_seq is null and cancelled_at is null
             and starts_at <= $2 and (expires_at is null or expires_at > $2) returning rule_id""",
        seq,
        now,
    )
    # One that expired while nobody looked was never in force, but its rule ends all the same.
    missed = await connection.fetch(
        """update rule_version set cancelled_at = $1 where opened_seq is null and cancelled_at is null
             and expires_at <= $1 returning rule_id""",
        now,
    )
    closed = await connection.fetch(
        """update rule_version set closed_seq = $1 where closed_seq is null and opened_seq < $1
             and expires_at <= $2 returning rule_id""",
        seq,
        now,
    )
    ended = [row[0] for row in (*missed, *closed)]
    await connection.execute("update rule set removed_at = $2 where id = any($1)", ended, now)
    await _audit(connection, "rule_activated", [row[0] for row in opened], seq, now)
    await _audit(connection, "rule_expired", ended, seq, now)
    if opened or ended:
        outbox.add(message(Lagged(at=now)))
    return _head(
        await connection.fetchrow(
            """update policy_head set seq = $1, next_change_at = least(
                 (select min(starts_at) from rule_version where opened_seq is null and cancelled_at is null),
                 (select min(expires_at) from rule_version where closed_seq is null and cancelled_at is null))
               returning seq, settings_seq, layer_version, next_change_at""",
            seq if opened or closed else head.seq,
        )
    )


def _head(row: Any) -> Head:  # noqa: ANN401 - a record
    return Head(row["seq"], row["settings_seq"], row["layer_version"], row["next_change_at"])


async def prune_sessions(connection: Connection, now: datetime) -> int:
    """Forget old syncs, some at a time, and return how many; no decision depends on them."""
    tag = await connection.execute(
        """delete from sync_session where id in (
             select id from sync_session where started_at < $1 limit $2 for update skip locked)""",
        now - KEEP_SESSIONS,
        PRUNE_BATCH,
    )
    return rows_of(tag)


async def _audit(connection: Connection, action: str, rules: Sequence[int], seq: int, now: datetime) -> None:
    await connection.execute(
        """insert into audit_log (at, actor_name, action, object_type, object_id, policy_seq)
           select $1, 'schedule', $2, 'rule', id::text, $3 from unnest($4::bigint[]) id""",
        now,
        action,
        seq,
        rules,
    )
