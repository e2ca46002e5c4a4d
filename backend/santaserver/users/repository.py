"""Users and their roles in the database."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import astuple

from santaserver.db import Connection, rows_of
from santaserver.paging import like_pattern
from santaserver.users.bindings import BINDINGS


class NewUser(Struct, frozen=True):
    """An account to store."""

    username: str
    display_name: str
    password_hash: str | None
    kind: str = "person"


class UserRow(Struct, frozen=True):
    """An account with its roles."""

    id: int
    username: str
    display_name: str
    created_at: datetime
    disabled_at: datetime | None
    roles: list[str]
    tags: list[int | None]
    tag_names: list[str | None]
    password_digest: bytes
    """Of the stored hash: tells one password from the next, and nothing else."""
    has_password: bool
    kind: str
    setup_until: datetime | None


USERS = f"""
select u.id, u.username, u.display_name, u.created_at, u.disabled_at, {BINDINGS},
  sha256(convert_to(coalesce(u.password_hash, ''), 'UTF8')), u.password_hash is not null, u.kind,
  (select l.expires_at from setup_link l where l.user_id = u.id)
from app_user u
"""  # noqa: S608 - a constant


async def lock_roles(connection: Connection) -> None:
    """Let no other transaction change roles or users before this one ends: one administrator has to stay."""
    await connection.execute("lock table binding in share row exclusive mode")


async def list_users(connection: Connection, after: str, limit: int, text: str) -> list[UserRow]:
    """Return users by name, after a name."""
    rows = await connection.fetch(
        f"""{USERS} where u.username > $1 and ($2 = '%%' or u.username ilike $2 or u.display_name ilike $2)
            order by u.username limit $3""",
        after,
        like_pattern(text),
        limit,
    )
    return [UserRow(*row) for row in rows]


async def find_user(connection: Connection, user_id: int) -> UserRow | None:
    """Return one user."""
    row = await connection.fetchrow(f"{USERS} where u.id = $1", user_id)
    return UserRow(*row) if row else None


async def find_by_name(connection: Connection, username: str) -> UserRow | None:
    """Return the user of this name."""
    row = await connection.fetchrow(f"{USERS} where u.username = $1", username)
    return UserRow(*row) if row else None


async def add_user(connection: Connection, user: NewUser, now: datetime) -> int | None:
    """Create an account; return its id, or None when the name is taken."""
    number: int | None = await connection.fetchval(
        """insert into app_user (username, display_name, password_hash, kind, created_at)
           values ($1, $2, $3, $4, $5) on conflict do nothing returning id""",
        *astuple(user),
        now,
    )
    return number


async def upsert_user(connection: Connection, user: NewUser, role: str, now: datetime) -> int:
    """Create an account, or give an existing one this role and password, which ends its sessions.

    Returns its id.
    """
    number: int = await connection.fetchval(
        """insert into app_user (username, display_name, password_hash, kind, created_at)
           values ($1, $2, $3, $4, $5)
           on conflict (username) do update set display_name = excluded.display_name,
             password_hash = excluded.password_hash, disabled_at = null
           returning id""",
        *astuple(user),
        now,
    )
    await connection.execute(
        """insert into binding (user_id, role, created_at) values ($1, $2, $3) on conflict do nothing""",
        number,
        role,
        now,
    )
    await end_sessions(connection, number)
    await forget_failures(connection, user.username)
    return number


async def set_display_name(connection: Connection, user_id: int, name: str) -> None:
    """Change the name that is shown."""
    await connection.execute("update app_user set display_name = $2 where id = $1", user_id, name)


async def set_password(connection: Connection, user_id: int, password_hash: str) -> None:
    """Change the password."""
    await connection.execute("update app_user set password_hash = $2 where id = $1", user_id, password_hash)


async def replace_password(connection: Connection, user_id: int, present: str, password_hash: str) -> bool:
    """Change the password of an account that may log in; return False unless the present one is this."""
    done = await connection.execute(
        """update app_user set password_hash = $3
           where id = $1 and password_hash = $2 and disabled_at is null""",
        user_id,
        present,
        password_hash,
    )
    return rows_of(done) == 1


async def delete_user(connection: Connection, user_id: int) -> None:
    """Delete an account with its sessions, tokens and roles; what it did stays in the audit log."""
    await connection.execute("delete from app_user where id = $1", user_id)


async def set_disabled(connection: Connection, user_id: int, at: datetime | None) -> None:
    """Disable an account, or enable it again."""
    await connection.execute("update app_user set disabled_at = $2 where id = $1", user_id, at)


async def end_sessions(connection: Connection, user_id: int) -> None:
    """End all sessions of a user."""
    await connection.execute("delete from user_session where user_id = $1", user_id)


async def forget_failures(connection: Connection, username: str) -> None:
    """Forget the failed logins of an account."""
    await connection.execute("delete from login_failure where key = $1", f"account:{username}")


async def tags_by_name(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of live tags by their names in lower case."""
    rows = await connection.fetch(
        "select lower(name), id from tag where removed_at is null and lower(name) = any($1)",
        [name.lower() for name in names],
    )
    return {row[0]: row[1] for row in rows}


async def replace_roles(
    connection: Connection,
    user_id: int,
    wanted: Sequence[tuple[str, int | None]],
    by: int | None,
    now: datetime,
) -> None:
    """Give a user exactly these roles."""
    roles, tags = [role for role, _ in wanted], [tag for _, tag in wanted]
    await connection.execute(
        """delete from binding b where user_id = $1 and not from_provider and not exists (
             select from unnest($2::text[], $3::bigint[]) w (role, tag)
             where w.role = b.role and w.tag is not distinct from b.tag_id)""",
        user_id,
        roles,
        tags,
    )
    await connection.execute(
        """insert into binding (user_id, role, tag_id, created_at, created_by)
           select $1, role, tag, $4, $5 from unnest($2::text[], $3::bigint[]) w (role, tag)
           on conflict do nothing""",
        user_id,
        roles,
        tags,
        now,
        by,
    )


async def provider_roles(connection: Connection, user_id: int) -> list[str] | None:
    """Return the roles that the identity provider gives a user; None for a local account."""
    roles: list[str] | None = await connection.fetchval(
        """select array(select role from binding where user_id = $1 and from_provider order by role)
           from user_identity where user_id = $1""",
        user_id,
    )
    return roles


async def has_administrator(connection: Connection) -> bool:
    """Tell whether someone can log in who may do everything, also when the identity provider is down."""
    found: bool = await connection.fetchval(
        """select exists (select from binding b join app_user u on u.id = b.user_id
             where b.role = 'admin' and b.tag_id is null and u.disabled_at is null
               and u.kind = 'person' and u.password_hash is not null)"""
    )
    return found


async def is_managed(connection: Connection) -> bool:
    """Tell whether there is an administrator, whatever the administrator logs in with."""
    found: bool = await connection.fetchval(
        """select exists (select from binding b join app_user u on u.id = b.user_id
             where b.role = 'admin' and b.tag_id is null and u.disabled_at is null and u.kind = 'person')"""
    )
    return found
