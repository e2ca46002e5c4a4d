"""Versions of rules whose time has come, in the database."""

from collections.abc import Sequence
from datetime import datetime

from santaserver.db import Connection
from santaserver.policy.change import Change


async def open_waiting(change: Change) -> list[int]:
    """Put into force from `seq` on what has waited for this moment; return the rules."""
    rows = await change.connection.fetch(
        """update rule_version set opened_seq = $1 where opened_seq is null and cancelled_at is null
             and starts_at <= $2 and (expires_at is null or expires_at > $2) returning rule_id""",
        change.next_seq,
        change.now,
    )
    return [row[0] for row in rows]


async def cancel_missed(change: Change) -> list[int]:
    """End what expired between two runs and was never in force; return the rules."""
    rows = await change.connection.fetch(
        """update rule_version set cancelled_at = $1 where opened_seq is null and cancelled_at is null
             and expires_at <= $1 returning rule_id""",
        change.now,
    )
    return [row[0] for row in rows]


async def close_expired(change: Change) -> list[int]:
    """End before `seq` what has expired; return the rules."""
    rows = await change.connection.fetch(
        """update rule_version set closed_seq = $1 where closed_seq is null and opened_seq < $1
             and expires_at <= $2 returning rule_id""",
        change.next_seq,
        change.now,
    )
    return [row[0] for row in rows]


async def mark_removed(change: Change, rules: Sequence[int]) -> None:
    """Take rules out of use; they stay in the log."""
    if rules:
        await change.connection.execute(
            "update rule set removed_at = $2 where id = any($1)", rules, change.now
        )


async def next_due(connection: Connection) -> datetime | None:
    """Return when the next activation or expiry is due."""
    at: datetime | None = await connection.fetchval(
        """select least(
             (select min(starts_at) from rule_version where opened_seq is null and cancelled_at is null),
             (select min(expires_at) from rule_version where closed_seq is null and cancelled_at is null))"""
    )
    return at
