"""Groups that SCIM has told of, in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct

from santaserver.db import Connection
from santaserver.names import name_key
from santaserver.scim.lookup import Hint
from santaserver.scim.user_repository import uuid_of


class GroupRow(Struct, frozen=True):
    """A group without its members."""

    scim_id: str
    group_id: int
    name: str
    description: str
    external_id: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class Member(Struct, frozen=True):
    """A member of a group."""

    scim_id: str
    user_id: int


GROUPS = """
select c.scim_id::text, g.id, g.name, g.description, g.external_id, c.version, g.created_at, g.updated_at
from scim_group c join user_group g on g.id = c.group_id
where true
"""
HINTED = """
  and ($1::text is null or g.name_key = $1) and ($2::text is null or g.external_id = $2)
  and ($3::uuid is null or c.scim_id = $3) and ($4::uuid is null or exists (
    select from user_group_member m join scim_user s on s.user_id = m.user_id
    where m.group_id = g.id and s.scim_id = $4))
"""


async def find(connection: Connection, scim_id: str) -> GroupRow | None:
    """Return a group; None when there is none."""
    wanted = uuid_of(scim_id)
    row = None if wanted is None else await connection.fetchrow(f"{GROUPS} and c.scim_id = $1", wanted)
    return GroupRow(*row) if row else None


async def count(connection: Connection) -> int:
    """Return how many there are."""
    number: int = await connection.fetchval("select count(*) from scim_group")
    return number


async def page(connection: Connection, offset: int, limit: int) -> list[GroupRow]:
    """Return groups by their age, from a place on."""
    rows = await connection.fetch(f"{GROUPS} order by g.id offset $1 limit $2", offset, limit)
    return [GroupRow(*row) for row in rows]


async def hinted(connection: Connection, hint: Hint, after: int, limit: int) -> list[GroupRow]:
    """Return the next of those that a hint leaves."""
    wanted = None if hint.id is None else uuid_of(hint.id)
    member = None if hint.member is None else uuid_of(hint.member.lower())
    if (hint.id is not None and wanted is None) or (hint.member is not None and member is None):
        return []
    rows = await connection.fetch(
        f"{GROUPS} {HINTED} and g.id > $5 order by g.id limit $6",
        hint.name_key,
        hint.external_id,
        wanted,
        member,
        after,
        limit,
    )
    return [GroupRow(*row) for row in rows]


async def sizes(connection: Connection, groups: Sequence[int]) -> dict[int, int]:
    """Return how many members groups have."""
    rows = await connection.fetch(
        """select group_id, count(*) from user_group_member where group_id = any($1) group by group_id""",
        list(groups),
    )
    return {row[0]: row[1] for row in rows}


async def members(connection: Connection, groups: Sequence[int]) -> dict[int, list[Member]]:
    """Return the members of groups."""
    rows = await connection.fetch(
        """select m.group_id, s.scim_id::text, s.user_id
           from user_group_member m join scim_user s on s.user_id = m.user_id
           where m.group_id = any($1) and s.removed_at is null order by m.group_id, m.added_at, m.user_id""",
        list(groups),
    )
    found: dict[int, list[Member]] = {group: [] for group in groups}
    for row in rows:
        found[row[0]].append(Member(*row[1:]))
    return found


async def name_taken(connection: Connection, name: str, besides: int | None) -> bool:
    """Tell whether another group of SCIM's has a name like this one."""
    found: bool = await connection.fetchval(
        """select exists (select from user_group where source = 'scim' and name_key = $1
             and id is distinct from $2)""",
        name_key(name),
        besides,
    )
    return found


async def external_id_taken(connection: Connection, external_id: str, besides: int | None) -> bool:
    """Tell whether another group of SCIM's has this `externalId`."""
    found: bool = await connection.fetchval(
        """select exists (select from user_group where source = 'scim' and external_id = $1
             and id is distinct from $2)""",
        external_id,
        besides,
    )
    return found


async def add(connection: Connection, group: int) -> str:
    """Make a group known to SCIM; return its id there."""
    made: str = await connection.fetchval(
        "insert into scim_group (group_id) values ($1) returning scim_id::text", group
    )
    return made


async def touch(connection: Connection, group: int) -> None:
    """Give a group its next version."""
    await connection.execute("update scim_group set version = version + 1 where group_id = $1", group)


async def touch_members(connection: Connection, users: Collection[int]) -> None:
    """Give people their next version: their groups are a part of them."""
    await connection.execute(
        "update scim_user set version = version + 1 where user_id = any($1)", list(users)
    )
