"""Makes activations and expiries entries of the policy log, so that Macs are sent them like any change.

Done by a task of every worker and, when one is due, by whichever preflight comes first: what a Mac
should have stays a function of its signature and a policy number alone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from santaserver.db import Connection
from santaserver.outbox import Outbox, changed_in_bulk
from santaserver.policy.head import PolicyHead


async def apply_due(connection: Connection, outbox: Outbox, now: datetime) -> PolicyHead:
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
    # One that expired while nobody looked was never in force, but its rule ends too.
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
        outbox.add(changed_in_bulk(now))
    return _head(
        await connection.fetchrow(
            """update policy_head set seq = $1, next_change_at = least(
                 (select min(starts_at) from rule_version where opened_seq is null and cancelled_at is null),
                 (select min(expires_at) from rule_version where closed_seq is null and cancelled_at is null))
               returning seq, settings_seq, layer_version, next_change_at""",
            seq if opened or closed else head.seq,
        )
    )


def _head(row: Any) -> PolicyHead:  # noqa: ANN401 - a record
    return PolicyHead(row["seq"], row["settings_seq"], row["layer_version"], row["next_change_at"])


async def _audit(connection: Connection, action: str, rules: Sequence[int], seq: int, now: datetime) -> None:
    await connection.execute(
        """insert into audit_log (at, actor_name, action, object_type, object_id, policy_seq)
           select $1, 'schedule', $2, 'rule', id::text, $3 from unnest($4::bigint[]) id""",
        now,
        action,
        seq,
        rules,
    )
