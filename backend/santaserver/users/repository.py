"""Users in the database."""

from msgspec import Struct
from msgspec.structs import astuple

from santaserver.db import Connection


class NewUser(Struct, frozen=True):
    """An account to store."""

    username: str
    display_name: str
    role: str
    password_hash: str


async def upsert_user(connection: Connection, user: NewUser) -> None:
    """Create an account, or give an existing one this role and password, which ends its sessions."""
    await connection.execute(
        """insert into app_user (username, display_name, role, password_hash, created_at)
           values ($1, $2, $3, $4, now())
           on conflict (username) do update set display_name = excluded.display_name, role = excluded.role,
             password_hash = excluded.password_hash, disabled_at = null""",
        *astuple(user),
    )
    await connection.execute(
        "delete from user_session where user_id = (select id from app_user where username = $1)",
        user.username,
    )
    await connection.execute("delete from login_failure where key = $1", f"account:{user.username}")
