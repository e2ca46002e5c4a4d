"""Custom roles in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from santaserver.db import Connection
from santaserver.permissions import PERMISSIONS, Permission, known_permissions, known_role


class RoleRow(Struct, frozen=True):
    """A custom role."""

    id: int
    name: str
    description: str
    permissions: list[str]
    created_at: datetime
    updated_at: datetime
    created_by: str | None
    users: int
    """How many users have it themselves."""
    groups: int


class FoundRole(NamedTuple):
    """A role of either kind, as bindings store it."""

    name: str
    role: str | None
    custom: int | None
    permissions: frozenset[Permission]


ROLES = """
select r.id, r.name, r.description, r.permissions, r.created_at, r.updated_at,
  (select u.username from app_user u where u.id = r.created_by),
  (select count(distinct user_id) from binding b where b.custom_role_id = r.id),
  (select count(distinct group_id) from binding b where b.custom_role_id = r.id)
from custom_role r
"""


async def list_roles(connection: Connection) -> list[RoleRow]:
    """Return all custom roles by name."""
    return [RoleRow(*row) for row in await connection.fetch(f"{ROLES} order by lower(r.name)")]


async def find_role(connection: Connection, role_id: int) -> RoleRow | None:
    """Return one custom role."""
    row = await connection.fetchrow(f"{ROLES} where r.id = $1", role_id)
    return RoleRow(*row) if row else None


async def count_holders(connection: Connection) -> dict[str, tuple[int, int]]:
    """Return how many users and groups have each of the roles that come with the program."""
    rows = await connection.fetch(
        """select role, count(distinct user_id), count(distinct group_id) from binding
           where role is not null group by role"""
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def count_roles(connection: Connection) -> int:
    """Return how many custom roles there are."""
    number: int = await connection.fetchval("select count(*) from custom_role")
    return number


async def roles_by_name(connection: Connection, names: Collection[str]) -> dict[str, FoundRole]:
    """Return the roles of these names, by the name in lower case; case does not tell roles apart."""
    wanted = {name.lower() for name in names}
    found = {}
    for name in wanted:
        role = known_role(name)
        if role is not None:
            found[name] = FoundRole(role, role, None, PERMISSIONS[role])
    if others := wanted - found.keys():
        rows = await connection.fetch(
            "select id, name, permissions from custom_role where lower(name) = any($1)", sorted(others)
        )
        for row in rows:
            found[row["name"].lower()] = FoundRole(
                row["name"], None, row["id"], known_permissions(row["permissions"])
            )
    return found


async def add_role(
    connection: Connection,
    name: str,
    description: str,
    permissions: Sequence[str],
    by: int | None,
    now: datetime,
) -> int | None:
    """Create a role; return its id, or None when the name is taken."""
    number: int | None = await connection.fetchval(
        """insert into custom_role (name, description, permissions, created_at, created_by, updated_at)
           values ($1, $2, $3, $4, $5, $4) on conflict do nothing returning id""",
        name,
        description,
        permissions,
        now,
        by,
    )
    return number


async def is_name_taken(connection: Connection, name: str, but: int) -> bool:
    """Tell whether another role has a name."""
    taken: bool = await connection.fetchval(
        "select exists (select from custom_role where lower(name) = lower($1) and id <> $2)", name, but
    )
    return taken


async def update_role(
    connection: Connection,
    role_id: int,
    name: str,
    description: str,
    permissions: Sequence[str],
    now: datetime,
) -> None:
    """Change a role; the bindings to it stay."""
    await connection.execute(
        """update custom_role set name = $2, description = $3, permissions = $4, updated_at = $5
           where id = $1""",
        role_id,
        name,
        description,
        permissions,
        now,
    )


async def delete_role(connection: Connection, role_id: int) -> None:
    """Delete a role; the database refuses it while someone has it."""
    await connection.execute("delete from custom_role where id = $1", role_id)


async def holders(connection: Connection, role_id: int, limit: int) -> list[str]:
    """Return the names of users and groups that have a role."""
    rows = await connection.fetch(
        """select distinct coalesce(u.username, g.name) as name, g.id is not null as is_group
           from binding b left join app_user u on u.id = b.user_id left join user_group g on g.id = b.group_id
           where b.custom_role_id = $1 order by 2, 1 limit $2""",
        role_id,
        limit,
    )
    return [f"group {row['name']}" if row["is_group"] else row["name"] for row in rows]


async def renew_sessions(connection: Connection, role_id: int) -> None:
    """Let the next request of each session of those who have a role bring it another id."""
    await connection.execute(
        """update user_session set renew = true
           where user_id in (select user_id from user_binding where custom_role_id = $1)""",
        role_id,
    )
