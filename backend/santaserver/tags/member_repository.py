"""The members of tags in the database."""

from collections.abc import Sequence

from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy.layer_ranks import MANUAL
from santaserver.reads import Row
from santaserver.scope import Scope, machine_in


class MemberChange(Struct, frozen=True):
    """What an administrator does to the membership of a machine."""

    tag: int
    machine_id: str
    member: bool
    reason: str = ""


MEMBERS = """
select m.machine_id, m.hostname, array_agg(x.source order by x.source) as sources,
  min(x.joined_at) as joined_at, m.id
from machine m join tag_member x on x.machine_id = m.id join tag t on t.id = x.tag_id
where t.id = $1 and t.removed_at is null and x.left_at is null and m.id > $2
group by m.id order by m.id limit $3
"""


async def lock_machine(connection: Connection, scope: Scope, machine_id: str) -> int | None:
    """Lock a machine against its syncs and make its layers be determined again; return its row id."""
    row: int | None = await connection.fetchval(
        f"""update machine_sync y set membership_fingerprint = null from machine m
            where y.machine_id = m.id and m.machine_id = $1 and {machine_in("m.id", "$2")}
            returning m.id""",  # noqa: S608 - a constant
        machine_id,
        scope.tag_ids,
    )
    return row


async def read_members(
    connection: Connection, scope: Scope, tag: int, after: int, limit: int
) -> Sequence[Row]:
    """Return members by the order in which their machines became known."""
    if not scope.covers(tag):
        return []
    return await connection.fetch(MEMBERS, tag, after, limit)


async def find_machine(connection: Connection, scope: Scope, machine_id: str) -> int | None:
    """Return the row id of a machine."""
    row: int | None = await connection.fetchval(
        f"select m.id from machine m where m.machine_id = $1 and {machine_in('m.id', '$2')}",  # noqa: S608
        machine_id,
        scope.tag_ids,
    )
    return row


async def hostname_of(connection: Connection, machine: int) -> str:
    """Return what a machine is called."""
    name: str = await connection.fetchval("select hostname from machine where id = $1", machine)
    return name


async def sources_of(connection: Connection, tag: int, machine: int) -> list[str]:
    """Return why a machine has a tag."""
    rows = await connection.fetch(
        """select source from tag_member where tag_id = $1 and machine_id = $2 and left_at is null
           order by source""",
        tag,
        machine,
    )
    return [row[0] for row in rows]


async def membership_changes(connection: Connection, tag: int, machine: int) -> Sequence[Row]:
    """Return when a machine was given a tag manually or lost it, and by whom, the latest first."""
    return await connection.fetch(
        """select x.at, coalesce(u.username, 'system'), x.action, coalesce(x.reason, '') from tag_member b
           cross join lateral (values (b.joined_at, b.joined_by, 'tag_member_added', b.joined_reason),
             (b.left_at, b.left_by, 'tag_member_removed', b.left_reason)) x (at, user_id, action, reason)
           left join app_user u on u.id = x.user_id
           where b.tag_id = $1 and b.machine_id = $2 and b.source = $3 and x.at is not null
           order by x.at desc, x.action desc limit 1""",
        tag,
        machine,
        MANUAL,
    )


async def is_live(connection: Connection, scope: Scope, tag: int) -> bool:
    """Tell whether there is such a tag."""
    if not scope.covers(tag):
        return False
    found: bool = await connection.fetchval(
        "select exists (select from tag where id = $1 and removed_at is null)", tag
    )
    return found
