"""Logins whose password was right and whose second factor is awaited, in the database."""

from datetime import datetime, timedelta
from typing import NamedTuple

from santaserver.db import Connection
from santaserver.second_factor.browser_cookie import BrowserCookie

LASTS = timedelta(minutes=5)
MOST_FAILURES = 5
"""Wrong codes after which the login has to begin again."""
MOST_OF_USER = 20
"""Logins of an account that may wait for a code at the same time; the oldest one ends."""
COOKIE = BrowserCookie("santa_login", LASTS)


class Pending(NamedTuple):
    """A login that waits for a code."""

    username: str
    password_digest: bytes
    """Of the hash of the password that was entered; another password ends the login."""


async def begin(
    connection: Connection, id_hash: bytes, user_id: int, password_digest: bytes, now: datetime
) -> None:
    """Store a login, and drop the ones that have run out."""
    await connection.execute("delete from pending_login where created_at <= $1", now - LASTS)
    await connection.execute(
        """delete from pending_login where id_hash in (
             select id_hash from pending_login where user_id = $1 order by created_at desc offset $2)""",
        user_id,
        MOST_OF_USER - 1,
    )
    await connection.execute(
        """insert into pending_login (id_hash, user_id, password_digest, created_at)
           values ($1, $2, $3, $4)""",
        id_hash,
        user_id,
        password_digest,
        now,
    )


async def find(
    connection: Connection, id_hash: bytes, now: datetime, *, lock: bool = False
) -> Pending | None:
    """Return a login that has not run out; with `lock`, no other request goes on with it meanwhile."""
    row = await connection.fetchrow(
        f"""select u.username, p.password_digest from pending_login p join app_user u on u.id = p.user_id
            where p.id_hash = $1 and p.created_at > $2 {"for update of p" if lock else ""}""",  # noqa: S608
        id_hash,
        now - LASTS,
    )
    return Pending(*row) if row else None


async def fail(connection: Connection, id_hash: bytes) -> None:
    """Count a wrong code; after some of them the login has to begin again."""
    await connection.execute(
        "delete from pending_login where id_hash = $1 and failures + 1 >= $2", id_hash, MOST_FAILURES
    )
    await connection.execute("update pending_login set failures = failures + 1 where id_hash = $1", id_hash)


async def end(connection: Connection, id_hash: bytes) -> None:
    """Forget a login, which is finished or was begun again."""
    await connection.execute("delete from pending_login where id_hash = $1", id_hash)
