"""What each machine had over time: the layers that decided for it, and what it confirmed.

Each row holds until the next one, and one is written only for a difference: a sync of a machine without news
writes none. Rows older than is to be kept are deleted, except the last one, which still holds.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from santaserver.db import Connection, rows_of
from santaserver.policy.states import PolicyState
from santaserver.settings import RetentionSettings

NOTE_SIGNATURE = "insert into machine_signature (machine_id, at, signature) values ($1, $2, $3)"
WITH_CONFIRMATION = """
with changed as ({update} returning machine_id)
insert into machine_confirmation (machine_id, at, seq, signature)
select machine_id, {at}::timestamptz, {seq}::bigint, {signature}::integer from changed
"""
"""One statement: the row exists if the update happened."""

PRUNE = """
delete from {table} where (machine_id, id) in (
  select o.machine_id, o.id from {table} o where o.at < $1 and (
    select n.at from {table} n where n.machine_id = o.machine_id and n.id > o.id order by n.id limit 1) < $1
  limit $2 for update skip locked)
"""
"""A row holds until the next one of its machine; of each machine only that one is looked up."""
PRUNE_MEMBERS = """
delete from tag_member where (machine_id, id) in (
  select machine_id, id from tag_member where left_at < $1 limit $2 for update skip locked)
"""


async def note_signature(connection: Connection, machine: int, signature: int | None, now: datetime) -> None:
    """Note that from now on a machine has these layers and this client; None when it is not managed."""
    await connection.execute(NOTE_SIGNATURE, machine, now, signature)


NOTE_RETIRED = """
with known as (select machine_id, signature, acked_seq from machine_sync where machine_id = any($1)),
  unmanaged as (
    insert into machine_signature (machine_id, at, signature)
    select machine_id, $2::timestamptz, null from known where signature is not null)
insert into machine_confirmation (machine_id, at) select machine_id, $2 from known where acked_seq is not null
"""


async def note_retired(connection: Connection, machines: Sequence[int], now: datetime) -> None:
    """Note that from now on machines have no policy, and that nothing is known of their rules."""
    await connection.execute(NOTE_RETIRED, machines, now)


def with_confirmation(update: str, at: str, seq: str = "null", signature: str = "null") -> str:
    """Return an update of `machine_sync` that also notes what is confirmed from then on; null is unknown."""
    return WITH_CONFIRMATION.format(update=update, at=at, seq=seq, signature=signature)


class Confirmation(Struct, frozen=True):
    """What a machine had confirmed, and since when."""

    at: datetime
    state: PolicyState | None
    """None when it was unknown."""


SIGNATURE_AT = """
select at, signature from machine_signature where machine_id = $1 and at <= $2 order by id desc limit 1
"""
CONFIRMATION_AT = """
select at, signature, seq from machine_confirmation where machine_id = $1 and at <= $2
order by id desc limit 1
"""


async def signature_at(
    connection: Connection, machine: int, at: datetime
) -> tuple[datetime, int | None] | None:
    """Return since when a machine had which signature at a moment; None when nothing was noted before it."""
    row = await connection.fetchrow(SIGNATURE_AT, machine, at)
    return (row[0], row[1]) if row else None


async def confirmation_at(connection: Connection, machine: int, at: datetime) -> Confirmation | None:
    """Return what a machine had confirmed at a moment; None when it had confirmed nothing."""
    row = await connection.fetchrow(CONFIRMATION_AT, machine, at)
    if row is None:
        return None
    return Confirmation(row[0], None if row[1] is None else PolicyState(row[1], row[2]))


async def prune_history(connection: Connection, now: datetime, keep: RetentionSettings, limit: int) -> int:
    """Delete what ended too long ago, some rows of each table; return the most of any."""
    before, confirmed = now - timedelta(days=keep.history_days), now - timedelta(days=keep.confirmation_days)
    deleted = [
        await connection.execute(statement, moment, limit)
        for statement, moment in (
            (PRUNE.format(table="machine_signature"), before),
            (PRUNE_MEMBERS, before),
            (PRUNE.format(table="machine_confirmation"), confirmed),
        )
    ]
    return max(map(rows_of, deleted))
