"""The stored roles of users and groups."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from santaserver.db import Connection, rows_of


class Holder(NamedTuple):
    """Who has a role."""

    kind: Literal["user", "group"]
    id: int


class StoredRole(NamedTuple):
    """A role as it is stored: of the program or made here, and the tag that limits it."""

    role: str | None
    custom: int | None
    tag: int | None


_COLUMNS = {"user": "user_id", "group": "group_id"}
_WANTED = "unnest($2::text[], $3::bigint[], $4::bigint[]) w (role, custom, tag)"


async def replace_roles(
    connection: Connection, holder: Holder, wanted: Sequence[StoredRole], by: int | None, now: datetime
) -> bool:
    """Give exactly these roles, besides those of the identity provider; return whether something changed."""
    column = _COLUMNS[holder.kind]
    arrays = [[one.role for one in wanted], [one.custom for one in wanted], [one.tag for one in wanted]]
    gone = await connection.execute(
        f"""delete from binding b where {column} = $1 and not from_provider and not exists (
             select from {_WANTED} where w.role is not distinct from b.role
               and w.custom is not distinct from b.custom_role_id
               and w.tag is not distinct from b.tag_id)""",  # noqa: S608 - constants
        holder.id,
        *arrays,
    )
    added = await connection.execute(
        f"""insert into binding ({column}, role, custom_role_id, tag_id, created_at, created_by)
           select $1, role, custom, tag, $5, $6 from {_WANTED} on conflict do nothing""",  # noqa: S608 - constants
        holder.id,
        *arrays,
        now,
        by,
    )
    return rows_of(gone) + rows_of(added) > 0


async def tags_by_name(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of live tags by their names in lower case."""
    rows = await connection.fetch(
        "select lower(name), id from tag where removed_at is null and lower(name) = any($1)",
        [name.lower() for name in names],
    )
    return {row[0]: row[1] for row in rows}


async def provider_roles(connection: Connection, user_id: int) -> list[str] | None:
    """Return the roles that the identity provider gives a user; None for a local account."""
    roles: list[str] | None = await connection.fetchval(
        """select array(select role from binding where user_id = $1 and from_provider order by role)
           from user_identity where user_id = $1""",
        user_id,
    )
    return roles
