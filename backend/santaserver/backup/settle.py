"""What a restored database needs before it serves Macs again.

Some Macs are ahead of it: they have confirmed changes that the file does not have. What the server knows of
them is not what they have, and nothing they report proves it. A rules hash covers neither messages nor what
a compiler's output was allowed by, older agents send none, and clean syncs for another hash may be paused. So
nothing counts as known of any Mac: each one's next sync replaces all of its rules, transitive ones too.

No number is given out twice either: entity tags, cursors and exported audit entries would mean something
else. The policy goes on at the number of the second, rows at that of the millisecond, both counted from 2026.
So two restores of one file differ too.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from santaserver.audit import SYSTEM, Target
from santaserver.backup import catalog
from santaserver.backup.tables import SHORT_LIVED
from santaserver.policy.change import policy_change
from santaserver.policy.head import skip_numbers
from santaserver.unit_of_work import UnitOfWork

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

UNKNOWN_FROM_NOW = """
insert into machine_confirmation (machine_id, at) select machine_id, $1::timestamptz from machine_sync
where acked_seq is not null
"""
NOTHING_KNOWN = """
update machine_sync set acked_signature = null, acked_seq = null, acked_hash = '',
  possible_signatures = '{}', possible_seqs = '{}', pending_session = null, pending_signature = null,
  pending_seq = null, pending_kind = null, pending_hash = null, pending_served = false, pending_sent = null,
  queued_clean = 'clean_all'
"""
NO_SYNC_GOES_ON = "update sync_session set state = 'superseded', finished_at = $1 where state = 'open'"


def seconds(now: datetime) -> int:
    """Return the policy number at which a restore goes on."""
    return max(int((now - EPOCH).total_seconds()), 0)


def numbers_from(kind: str, last: int, now: datetime) -> int:
    """Return the last number that a sequence of this type counts as having given out."""
    return max(last, 1, seconds(now) * (1000 if kind == "bigint" else 1))


async def move_sequences(connection: Any, given_out: Mapping[str, int], now: datetime) -> None:  # noqa: ANN401
    """Let every sequence go on at numbers that it has never given out."""
    for name, (kind, last) in (await catalog.sequences(connection)).items():
        number = numbers_from(kind, max(last, given_out.get(name, 0)), now)
        await connection.execute("select setval($1::text::regclass, $2)", name, number)


async def forget_logins(connection: Any) -> None:  # noqa: ANN401
    """Delete what a backup would have left out."""
    for name in SHORT_LIVED:
        await connection.execute(f"delete from {name}")  # noqa: S608 - names of this program


async def settle(
    connection: Any,  # noqa: ANN401
    now: datetime,
    target: Target,
    facts: Mapping[str, Any],
) -> int:
    """Make the restored state the present one; return how many Macs will be sent all rules.

    The sequences have been moved. It is the last of its transaction, since it appends to the audit log.
    """
    await connection.execute(UNKNOWN_FROM_NOW, now)
    macs = await connection.fetchval(f"with m as ({NOTHING_KNOWN} returning 1) select count(*) from m")  # noqa: S608
    await connection.execute(NO_SYNC_GOES_ON, now)
    work = UnitOfWork(connection)
    await skip_numbers(connection, seconds(now))
    async with policy_change(work, SYSTEM, now, "restore", reason="the database was restored") as change:
        change.take_number()
        change.layers_changed()
        change.sum_up(machines=macs)
        change.audit("database_restored", target, after={**facts, "machines": macs})
    await work.finish()
    return int(macs)
