"""Setup links in the database."""

from datetime import datetime
from typing import NamedTuple

from santaserver.db import Connection, rows_of


class FoundLink(NamedTuple):
    """A setup link that is valid."""

    user_id: int | None
    """Who chooses a password with it; None: the first administrator."""
    username: str
    display_name: str
    expires_at: datetime


async def store_link(
    connection: Connection, user_id: int | None, secret_hash: bytes, now: datetime, expires_at: datetime
) -> None:
    """Store a link; an earlier one for the same user ends."""
    await connection.execute(
        """insert into setup_link (secret_hash, user_id, created_at, expires_at) values ($1, $2, $3, $4)
           on conflict (user_id) do update set secret_hash = excluded.secret_hash,
             created_at = excluded.created_at, expires_at = excluded.expires_at""",
        secret_hash,
        user_id,
        now,
        expires_at,
    )


async def find_link(connection: Connection, secret_hash: bytes, now: datetime) -> FoundLink | None:
    """Return a link that is valid; that of a disabled user is not."""
    row = await connection.fetchrow(
        """select l.user_id, coalesce(u.username, ''), coalesce(u.display_name, ''), l.expires_at
           from setup_link l left join app_user u on u.id = l.user_id
           where l.secret_hash = $1 and l.expires_at > $2 and u.enabled is not false""",
        secret_hash,
        now,
    )
    return FoundLink(*row) if row else None


async def use_link(connection: Connection, secret_hash: bytes) -> bool:
    """Delete a link; return False when it was used at the same time."""
    done = await connection.execute("delete from setup_link where secret_hash = $1", secret_hash)
    return rows_of(done) == 1


async def delete_of_user(connection: Connection, user_id: int) -> None:
    """Delete the link of a user."""
    await connection.execute("delete from setup_link where user_id = $1", user_id)


async def delete_first(connection: Connection) -> None:
    """Delete the link for the first administrator."""
    await connection.execute("delete from setup_link where user_id is null")


async def is_newer(connection: Connection, moment: datetime) -> bool:
    """Tell whether the link for the first administrator was made after a moment."""
    found: bool = await connection.fetchval(
        "select exists (select from setup_link where user_id is null and created_at > $1)", moment
    )
    return found
