"""Users and their roles in the database."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import astuple

from santaserver.current_user import Binding
from santaserver.db import Connection, rows_of
from santaserver.names import name_key
from santaserver.paging import like_pattern
from santaserver.users.bindings import BINDINGS, OWN_BINDINGS, bindings_of


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
    deprovisioned_at: datetime | None
    enabled: bool
    own_bindings: str
    all_bindings: str
    groups: list[str]
    from_provider: bool
    signed_in_at: datetime | None
    from_scim: bool
    password_digest: bytes
    """Of the stored hash: tells one password from the next, and nothing else."""
    has_password: bool
    second_factor: bool
    kind: str
    setup_until: datetime | None

    @property
    def own(self) -> list[Binding]:
        """The user's own roles."""
        return bindings_of(self.own_bindings)


USERS = f"""
select u.id, u.username, u.display_name, u.created_at, u.disabled_at, u.deprovisioned_at, u.enabled,
  {OWN_BINDINGS}, {BINDINGS},
  array(select g.name from user_group_member m join user_group g on g.id = m.group_id where m.user_id = u.id
        order by lower(g.name), g.id),
  i.user_id is not null, i.signed_in_at, exists (select from scim_user s where s.user_id = u.id),
  sha256(convert_to(coalesce(u.password_hash, ''), 'UTF8')), u.password_hash is not null,
  exists (select from totp_secret t where t.user_id = u.id)
    or exists (select from passkey p where p.user_id = u.id), u.kind,
  (select l.expires_at from setup_link l where l.user_id = u.id)
from app_user u left join user_identity i on i.user_id = u.id
"""  # noqa: S608 - a constant
MAX_NAMESAKES = 20


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
    """Create an account; return its id, or None when the name, or one that looks like it, is taken."""
    number: int | None = await connection.fetchval(
        """insert into app_user (username, display_name, password_hash, kind, created_at, name_key)
           values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning id""",
        *astuple(user),
        now,
        name_key(user.username),
    )
    return number


async def add_person(
    connection: Connection, wanted: str, display_name: str, fallback: str, now: datetime
) -> int:
    """Create the account of a person of the identity provider, without password and roles; return its id.

    A user of the same name stays another user: the new one is called "name (2)".
    """
    for name in names_for(wanted, fallback):
        new = NewUser(name.lower(), display_name, None)
        number = await add_user(connection, new, now) if name_key(name) else None
        if number is not None:
            return number
    raise RuntimeError("all names of a new user are taken, even the unique one")


async def rename_person(connection: Connection, user_id: int, wanted: str, fallback: str) -> None:
    """Take over the name that the provider has for a person now, made unique."""
    for name in names_for(wanted, fallback):
        done = await connection.execute(
            """update app_user set username = $2, name_key = $3 where id = $1 and $3 <> ''
                 and not exists (select from app_user where (username = $2 or name_key = $3) and id <> $1)""",
            user_id,
            name.lower(),
            name_key(name),
        )
        if rows_of(done) == 1:
            return


def names_for(wanted: str, fallback: str) -> list[str]:
    """Return user names to try; the last one has what nobody else has in it."""
    return [wanted, *(f"{wanted} ({number})" for number in range(2, MAX_NAMESAKES)), f"{wanted} ({fallback})"]


async def namesake(connection: Connection, username: str) -> str | None:
    """Return the name of the user that looks like this one."""
    found: str | None = await connection.fetchval(
        "select username from app_user where name_key = $1 or username = $2", name_key(username), username
    )
    return found


async def upsert_user(connection: Connection, user: NewUser, role: str, now: datetime) -> int:
    """Create an account, or give an existing one this role and password, which ends its sessions.

    Returns its id.
    """
    number: int = await connection.fetchval(
        """insert into app_user (username, display_name, password_hash, kind, created_at, name_key)
           values ($1, $2, $3, $4, $5, $6)
           on conflict (username) do update set display_name = excluded.display_name,
             password_hash = excluded.password_hash, disabled_at = null
           returning id""",
        *astuple(user),
        now,
        name_key(user.username),
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
           where id = $1 and password_hash = $2 and enabled""",
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


async def set_deprovisioned(connection: Connection, user_id: int, at: datetime | None) -> None:
    """Store that SCIM says a person is not active, or is again; disabling here is another matter."""
    await connection.execute(
        """update app_user set deprovisioned_at = $2
           where id = $1 and (deprovisioned_at is null) <> ($2::timestamptz is null)""",
        user_id,
        at,
    )


async def end_sessions(connection: Connection, user_id: int) -> None:
    """End all sessions of a user."""
    await connection.execute("delete from user_session where user_id = $1", user_id)


async def forget_failures(connection: Connection, username: str) -> None:
    """Forget the failed logins of an account."""
    await connection.execute("delete from login_failure where key = $1", f"account:{username}")
