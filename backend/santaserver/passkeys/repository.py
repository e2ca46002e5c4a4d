"""Passkeys and challenges in the database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from santaserver.db import Connection, rows_of
from santaserver.passkeys.ceremonies import NewCredential
from santaserver.second_factor.browser_cookie import BrowserCookie

LASTS = timedelta(minutes=5)
"""How long a browser may take to use a passkey."""
MAX_OF_NETWORK = 1000
MAX_OF_ALL = 100_000
"""Begun and not finished; anybody can begin one."""
COOKIE = BrowserCookie("santa_passkey", LASTS)

Purpose = Literal["sign_in", "register", "reauthenticate"]


class Taken(NamedTuple):
    """A challenge that was answered."""

    user_handle: bytes | None
    """What a new passkey knows the account by."""


class Passkey(NamedTuple):
    """A passkey as its owner sees it."""

    id: int
    name: str
    rp_id: str
    created_at: datetime
    last_used_at: datetime | None
    credential_id: bytes


class Found(NamedTuple):
    """A passkey that someone wants to use."""

    id: int
    user_id: int
    username: str
    name: str
    credential: bytes
    user_handle: bytes
    rp_id: str


async def begin(
    connection: Connection,
    challenge_hash: bytes,
    browser_hash: bytes,
    purpose: Purpose,
    user_id: int | None,
    user_handle: bytes | None,
    network: str,
    now: datetime,
) -> bool:
    """Store a challenge, and drop the ones that have run out; return False when there are too many."""
    await connection.execute("delete from passkey_challenge where created_at <= $1", now - LASTS)
    done = await connection.execute(
        """insert into passkey_challenge
             (challenge_hash, browser_hash, purpose, user_id, user_handle, network, created_at)
           select $1, $2, $3, $4, $5, $6, $7
           where (select count(*) from (select from passkey_challenge where network = $6 limit $8) n) < $8
             and (select count(*) from (select from passkey_challenge limit $9) n) < $9""",
        challenge_hash,
        browser_hash,
        purpose,
        user_id,
        user_handle,
        network,
        now,
        MAX_OF_NETWORK,
        MAX_OF_ALL,
    )
    return rows_of(done) == 1


async def take(
    connection: Connection,
    challenge_hash: bytes,
    browser_hash: bytes,
    purpose: Purpose,
    user_id: int | None,
    now: datetime,
) -> Taken | None:
    """Use up a challenge; None unless this browser was given it, for this, and not long ago."""
    row = await connection.fetchrow(
        """delete from passkey_challenge
           where challenge_hash = $1 and browser_hash = $2 and purpose = $3
             and user_id is not distinct from $4::bigint
           returning user_handle, created_at""",
        challenge_hash,
        browser_hash,
        purpose,
        user_id,
    )
    if row is None or not timedelta(0) <= now - row["created_at"] < LASTS:
        return None
    return Taken(row["user_handle"])


async def list_passkeys(connection: Connection, user_id: int) -> list[Passkey]:
    """Return the passkeys of an account, the oldest first."""
    rows = await connection.fetch(
        """select id, name, rp_id, created_at, last_used_at, credential_id from passkey
           where user_id = $1 order by id""",
        user_id,
    )
    return [Passkey(*row) for row in rows]


async def find(connection: Connection, credential_id: bytes) -> Found | None:
    """Return the passkey with this id, whoever owns it."""
    row = await connection.fetchrow(
        """select p.id, p.user_id, u.username, p.name, p.credential, p.user_handle, p.rp_id
           from passkey p join app_user u on u.id = p.user_id where p.credential_id = $1""",
        credential_id,
    )
    return Found(*row) if row else None


async def handle_of(connection: Connection, user_id: int) -> bytes | None:
    """Return what authenticators know an account by; None before its first passkey."""
    handle: bytes | None = await connection.fetchval(
        "select user_handle from passkey where user_id = $1 order by id limit 1", user_id
    )
    return handle


async def add(
    connection: Connection,
    user_id: int,
    handle: bytes,
    rp_id: str,
    name: str,
    made: NewCredential,
    now: datetime,
) -> int | None:
    """Store a passkey; None when there is one with its id."""
    number: int | None = await connection.fetchval(
        """insert into passkey
             (user_id, credential_id, credential, user_handle, rp_id, sign_count, name, created_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning id""",
        user_id,
        made.id,
        made.data,
        handle,
        rp_id,
        made.sign_count,
        name,
        now,
    )
    return number


async def use(connection: Connection, passkey_id: int, counter: int, now: datetime) -> bool:
    """Note that a passkey was used; False when its counter did not go up: it was copied.

    Passkeys that are synchronized between devices have no counter: theirs is always 0.
    """
    done = await connection.execute(
        """update passkey set sign_count = $2, last_used_at = $3
           where id = $1 and (sign_count < $2 or sign_count = 0 and $2 = 0)""",
        passkey_id,
        counter,
        now,
    )
    return rows_of(done) == 1


async def delete(connection: Connection, user_id: int, passkey_id: int) -> str | None:
    """Remove a passkey of an account; return its name, None when it has no such passkey."""
    name: str | None = await connection.fetchval(
        "delete from passkey where id = $1 and user_id = $2 returning name", passkey_id, user_id
    )
    return name


async def count(connection: Connection, user_id: int) -> int:
    """Return how many passkeys an account has, and let no other request add one meanwhile."""
    rows: Sequence[object] = await connection.fetch(
        "select from app_user where id = $1 for no key update", user_id
    )
    if not rows:
        return 0
    number: int = await connection.fetchval("select count(*) from passkey where user_id = $1", user_id)
    return number
