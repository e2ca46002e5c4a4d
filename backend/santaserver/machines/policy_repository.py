"""What a machine's policy at a moment is made of, beside rules and settings."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from santaserver.db import Connection
from santaserver.scope import Scope, machine_in

KNOWN = f"""
select m.id, m.machine_id, m.enrolled_at from machine m
where m.machine_id = $1 and m.deleted_at is null and {machine_in("m.id", "$2")}
"""  # noqa: S608 - a constant

TAG_NAME = """coalesce(
  (select v.name from tag_version v where v.tag_id = t.id and v.opened_seq <= $2
   order by v.opened_seq desc limit 1), t.name)"""
"""What tag `t` was called at the policy number $2, or before it was removed."""

LAYERS = f"""
select l.id, case l.kind when 'tag' then 'tag:' || {TAG_NAME} when 'user' then 'user:' || l.name
  when 'machine' then 'machine:' || coalesce(m.machine_id, l.name) else 'global' end
from layer l left join tag t on t.id = l.tag_id left join machine m on m.id = l.machine_id
where l.id = any($1)
"""  # noqa: S608 - put together from constants

MEMBERSHIPS = f"""
select t.id, {TAG_NAME}, array_agg(b.source order by b.source), min(b.joined_at)
from tag_member b join tag t on t.id = b.tag_id
where b.machine_id = $1 and {{then}}
group by t.id
"""  # noqa: S608 - put together from constants

AT_TIME = "b.joined_at <= $3 and (b.left_at is null or b.left_at > $3)"
AT_NUMBER = "b.joined_seq <= $2 and (b.left_seq is null or b.left_seq > $2) and $3::timestamptz is not null"
"""While a number was the newest, at the end: reports changed memberships without taking another one."""

TAG_ORDER = "select tags from tag_order_version where seq <= $1 order by seq desc limit 1"

WINDOW = """
select w.starts_at, w.ends_at, w.reason, u.username from monitor_window w
left join app_user u on u.id = w.opened_by
where w.machine_id = $1 and w.starts_at <= $2 and w.ends_at > $2 and (w.ended_at is null or w.ended_at > $2)
order by w.starts_at desc, w.id desc limit 1
"""

CHANGES = "select seq, at, actor_name, reason from policy_change where seq = any($1)"


class KnownMachine(Struct, frozen=True):
    """A machine, and since when there is one."""

    id: int
    machine_id: str
    enrolled_at: datetime


class ChangeRow(Struct, frozen=True):
    """Who changed the policy, when and why."""

    seq: int
    at: datetime
    actor: str
    reason: str


async def known_machine(connection: Connection, scope: Scope, machine_id: str) -> KnownMachine | None:
    """Return a machine in scope."""
    row = await connection.fetchrow(KNOWN, machine_id, scope.tag_ids)
    return KnownMachine(*row) if row else None


async def layer_names_at(connection: Connection, layers: Sequence[int], seq: int) -> dict[int, str]:
    """Return what layers were called at a policy number."""
    return {row[0]: row[1] for row in await connection.fetch(LAYERS, layers, seq)}


async def tags_at(
    connection: Connection, machine: int, seq: int, at: datetime, *, by_number: bool
) -> list[tuple[int, str, list[str], datetime]]:
    """Return the tags that a machine had at a moment, the highest first: id, name, sources, since when."""
    statement = MEMBERSHIPS.format(then=AT_NUMBER if by_number else AT_TIME)
    rows = await connection.fetch(statement, machine, seq, at)
    order = {tag: rank for rank, tag in enumerate(await connection.fetchval(TAG_ORDER, seq) or ())}
    found = [(row[0], row[1], row[2], row[3]) for row in rows]
    return sorted(found, key=lambda tag: (order.get(tag[0], -1), tag[0]), reverse=True)


async def monitor_window_at(
    connection: Connection, machine: int, at: datetime
) -> tuple[datetime, datetime, str, str | None] | None:
    """Return the monitor mode that was open at a moment: since, until, why, who opened it."""
    row = await connection.fetchrow(WINDOW, machine, at)
    return tuple(row) if row else None


async def changes_of(connection: Connection, seqs: Sequence[int]) -> dict[int, ChangeRow]:
    """Return the changes with these numbers."""
    return {row[0]: ChangeRow(*row) for row in await connection.fetch(CHANGES, list(seqs))}
