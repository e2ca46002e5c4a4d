"""Memberships of tags in the policy log: since which number and until which one a Mac had a tag, and why.

What a person changes is a change of the policy with a number of its own. What follows from a Mac's report
takes none: it has the number that was the newest then, so it comes after that change and before the next.
Every writer has locked the Mac's row, so the entries of one Mac are in the order of their numbers.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from santaserver.db import Connection, rows_of
from santaserver.policy.change import Change
from santaserver.policy.layer_ranks import MANUAL

JOIN = """
insert into tag_member (tag_id, machine_id, source, joined_at, joined_by, joined_reason, joined_seq)
values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing
"""
LEAVE = """
update tag_member set left_at = $4, left_by = $5, left_reason = $6, left_seq = $7
where tag_id = $1 and machine_id = $2 and source = $3 and left_at is null
"""
END_OF_TAG = """
update tag_member set left_at = $2, left_by = $3, left_reason = $4, left_seq = $5
where tag_id = $1 and left_at is null
"""
END_OF_MACHINES = """
update tag_member set left_at = $2, left_by = $3, left_reason = $4, left_seq = $5
where machine_id = any($1) and left_at is null
"""
RETURN = """
insert into tag_member (tag_id, machine_id, source, joined_at, joined_by, joined_seq)
select x.tag_id, x.machine_id, x.source, $2, x.joined_by, {seq}
from machine m join tag_member x on x.machine_id = m.id and x.left_at = m.retired_at
join tag t on t.id = x.tag_id and t.removed_at is null
where m.id = any($1) on conflict do nothing
"""
NEWEST = "(select seq from policy_head)"
RETURN_NUMBERED, RETURN_REPORTED = RETURN.format(seq="$3"), RETURN.format(seq=NEWEST)

REPORTED_JOIN = f"""
insert into tag_member (tag_id, machine_id, source, joined_at, joined_seq)
select t, $1, s, $4, {NEWEST} from unnest($2::bigint[], $3::text[]) m(t, s)
"""  # noqa: S608 - a constant
REPORTED_LEAVE = f"""
update tag_member set left_at = $4, left_seq = {NEWEST} where machine_id = $1 and left_at is null
  and (tag_id, source) in (select * from unnest($2::bigint[], $3::text[]))
"""  # noqa: S608 - a constant

Source = tuple[int, str]
"""A membership: (tag, source)."""


async def change_manual(change: Change, tag: int, machine: int, *, member: bool) -> bool:
    """Begin or end a manual membership under this change's number; return whether that made a difference."""
    values = (change.now, change.actor.id, change.reason, change.next_seq)
    done = await change.connection.execute(JOIN if member else LEAVE, tag, machine, MANUAL, *values)
    return _numbered(change, done)


async def end_of_tag(change: Change, tag: int) -> bool:
    """End all memberships of a tag; return whether there were any."""
    values = (change.now, change.actor.id, change.reason, change.next_seq)
    return _numbered(change, await change.connection.execute(END_OF_TAG, tag, *values))


async def end_of_machines(change: Change, machines: Sequence[int]) -> bool:
    """End all memberships of machines; return whether there were any."""
    values = (change.now, change.actor.id, change.reason, change.next_seq)
    return _numbered(change, await change.connection.execute(END_OF_MACHINES, machines, *values))


async def return_to_machines(change: Change, machines: Sequence[int]) -> bool:
    """Give retired machines their tags back; of those that follow from facts, the next preflight decides."""
    done = await change.connection.execute(RETURN_NUMBERED, machines, change.now, change.next_seq)
    return _numbered(change, done)


async def return_reported(connection: Connection, machine: int, now: datetime) -> None:
    """Give a retired machine its tags back when its own sync has restored it."""
    await connection.execute(RETURN_REPORTED, [machine], now)


async def follow_report(
    connection: Connection, machine: int, left: Collection[Source], joined: Collection[Source], now: datetime
) -> None:
    """End and begin the memberships that a machine's report takes and gives."""
    for statement, members in ((REPORTED_LEAVE, sorted(left)), (REPORTED_JOIN, sorted(joined))):
        if members:
            tags, sources = [tag for tag, _ in members], [source for _, source in members]
            await connection.execute(statement, machine, tags, sources, now)


def _numbered(change: Change, done: str) -> bool:
    if rows_of(done) == 0:
        return False
    change.take_number()
    return True
