"""Groups, their members and their roles in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from santaserver.current_user import Binding
from santaserver.db import Connection, rows_of
from santaserver.names import name_key
from santaserver.paging import like_pattern
from santaserver.users.bindings import GROUP_BINDINGS, bindings_of

Source = Literal["local", "claim", "app_role", "scim"]


class NewGroup(Struct, frozen=True):
    """A group to store."""

    source: Source
    name: str
    external_id: str | None = None
    description: str = ""
    created_by: int | None = None


class GroupRow(Struct, frozen=True):
    """A group with its roles."""

    id: int
    source: Source
    external_id: str | None
    name: str
    description: str
    created_at: datetime
    updated_at: datetime
    members: int
    stored_bindings: str

    @property
    def bindings(self) -> list[Binding]:
        """Its roles."""
        return bindings_of(self.stored_bindings)


class Member(Struct, frozen=True):
    """A member of a group."""

    id: int
    username: str
    display_name: str
    enabled: bool
    added_at: datetime


GROUPS = f"""
select g.id, g.source, g.external_id, g.name, g.description, g.created_at, g.updated_at,
  (select count(*) from user_group_member m where m.group_id = g.id), {GROUP_BINDINGS}
from user_group g
"""  # noqa: S608 - a constant


async def list_groups(
    connection: Connection, after: int, limit: int, text: str = "", source: Source | None = None
) -> list[GroupRow]:
    """Return groups by id, after one."""
    rows = await connection.fetch(
        f"""{GROUPS} where g.id > $1 and ($2::text is null or g.source = $2)
            and ($3 = '%%' or g.name ilike $3 or g.external_id ilike $3) order by g.id limit $4""",
        after,
        source,
        like_pattern(text),
        limit,
    )
    return [GroupRow(*row) for row in rows]


async def find_group(connection: Connection, group_id: int) -> GroupRow | None:
    """Return one group."""
    row = await connection.fetchrow(f"{GROUPS} where g.id = $1", group_id)
    return GroupRow(*row) if row else None


async def find_by_external_id(connection: Connection, source: Source, external_id: str) -> GroupRow | None:
    """Return the group that a token or SCIM calls by this id."""
    row = await connection.fetchrow(
        f"{GROUPS} where g.source = $1 and g.external_id = $2", source, external_id
    )
    return GroupRow(*row) if row else None


async def find_by_name(connection: Connection, source: Source, name: str) -> GroupRow | None:
    """Return the group of a source whose name is this one, or looks like it."""
    row = await connection.fetchrow(
        f"{GROUPS} where g.source = $1 and g.name_key = $2", source, name_key(name)
    )
    return GroupRow(*row) if row else None


async def add_group(connection: Connection, group: NewGroup, now: datetime) -> int | None:
    """Create a group; return its id, or None when its name (or a look-alike) or external id is taken."""
    number: int | None = await connection.fetchval(
        """insert into user_group
             (source, external_id, name, name_key, description, created_at, created_by, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $6) on conflict do nothing returning id""",
        group.source,
        group.external_id,
        group.name,
        name_key(group.name),
        group.description,
        now,
        group.created_by,
    )
    return number


async def update_group(
    connection: Connection,
    group_id: int,
    name: str,
    external_id: str | None,
    description: str,
    now: datetime,
) -> bool:
    """Change what a group is called; return False when another one has this name or external id.

    The caller holds the lock of roles (`administrators_kept`), so that nobody takes the name meanwhile.
    """
    done = await connection.execute(
        """update user_group g
           set name = $2, name_key = $3, external_id = $4, description = $5, updated_at = $6
           where id = $1 and not exists (
             select from user_group o where o.id <> g.id and o.source = g.source
               and (o.name_key = $3 or o.external_id = $4))""",
        group_id,
        name,
        name_key(name),
        external_id,
        description,
        now,
    )
    return rows_of(done) == 1


async def delete_group(connection: Connection, group_id: int) -> None:
    """Delete a group with its roles; its members lose these."""
    await renew_sessions(connection, group_id)
    await connection.execute("delete from user_group where id = $1", group_id)


async def list_members(
    connection: Connection, group_id: int, after: int = 0, limit: int | None = None
) -> list[Member]:
    """Return members by id, after one."""
    rows = await connection.fetch(
        """select u.id, u.username, u.display_name, u.enabled, m.added_at
           from user_group_member m join app_user u on u.id = m.user_id
           where m.group_id = $1 and u.id > $2 order by u.id limit $3""",
        group_id,
        after,
        limit,
    )
    return [Member(*row) for row in rows]


async def groups_of(connection: Connection, user_id: int) -> list[tuple[int, str]]:
    """Return the ids and names of the groups of a user."""
    rows = await connection.fetch(
        """select g.id, g.name from user_group_member m join user_group g on g.id = m.group_id
           where m.user_id = $1 order by g.id""",
        user_id,
    )
    return [(row["id"], row["name"]) for row in rows]


async def add_members(
    connection: Connection, group_id: int, users: Collection[int], now: datetime
) -> list[int]:
    """Add users to a group; return those that were not in it and exist."""
    rows = await connection.fetch(
        """insert into user_group_member (group_id, user_id, added_at)
           select $1, id, $3 from app_user where id = any($2::bigint[]) order by id
           on conflict do nothing returning user_id""",
        group_id,
        list(users),
        now,
    )
    return await _renewed(connection, [row["user_id"] for row in rows])


async def remove_members(connection: Connection, group_id: int, users: Collection[int]) -> list[int]:
    """Take users out of a group; return those that were in it."""
    rows = await connection.fetch(
        """delete from user_group_member where group_id = $1 and user_id = any($2::bigint[])
           returning user_id""",
        group_id,
        list(users),
    )
    return await _renewed(connection, [row["user_id"] for row in rows])


async def replace_members(
    connection: Connection, group_id: int, users: Collection[int], now: datetime
) -> tuple[list[int], list[int]]:
    """Give a group exactly these members; return those that came and those that went."""
    rows = await connection.fetch(
        """delete from user_group_member where group_id = $1 and user_id <> all($2::bigint[])
           returning user_id""",
        group_id,
        list(users),
    )
    gone = await _renewed(connection, [row["user_id"] for row in rows])
    return await add_members(connection, group_id, users, now), gone


async def any_of_source(connection: Connection, source: Source) -> bool:
    """Tell whether there is a group of a source."""
    found: bool = await connection.fetchval(
        "select exists (select from user_group where source = $1)", source
    )
    return found


async def set_told_groups(
    connection: Connection, user_id: int, source: Source, told: Sequence[str], now: datetime
) -> bool:
    """Make a user a member of exactly those groups of a source that a token tells of; True for a change.

    Most groups of a person are not known here, and never become so by a sign-in.
    """
    gone = await connection.execute(
        """delete from user_group_member m using user_group g
           where m.user_id = $1 and g.id = m.group_id and g.source = $2 and g.external_id <> all($3)""",
        user_id,
        source,
        told,
    )
    come = await connection.execute(
        """insert into user_group_member (group_id, user_id, added_at)
           select g.id, $1, $4 from user_group g where g.source = $2 and g.external_id = any($3)
           on conflict do nothing""",
        user_id,
        source,
        told,
        now,
    )
    if changed := rows_of(gone) + rows_of(come) > 0:
        await _renewed(connection, [user_id])
    return changed


async def renew_sessions(connection: Connection, group_id: int) -> None:
    """Let the next request of each session of the members bring it another id."""
    await connection.execute(
        """update user_session set renew = true
           where user_id in (select user_id from user_group_member where group_id = $1)""",
        group_id,
    )


async def _renewed(connection: Connection, users: list[int]) -> list[int]:
    """What these users may do has changed: each of their sessions gets another id."""
    if users:
        await connection.execute("update user_session set renew = true where user_id = any($1)", users)
    return users
