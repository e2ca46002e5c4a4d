"""Sign-ins that were begun, and logout tokens that were used, in the database."""

from datetime import datetime, timedelta
from typing import NamedTuple

from santaserver.db import Connection

LASTS = timedelta(minutes=10)
MAX_OF_NETWORK = 1000
MAX_OF_ALL = 100_000
"""Begun and not finished; anybody can begin one."""


class Attempt(NamedTuple):
    """A sign-in that was begun."""

    nonce: str
    verifier: str
    return_path: str


async def begin(
    connection: Connection,
    state_hash: bytes,
    browser_hash: bytes,
    attempt: Attempt,
    network: str,
    now: datetime,
) -> bool:
    """Store it, and drop the ones that have run out; return False when there are too many."""
    await connection.execute("delete from sign_in where created_at <= $1", now - LASTS)
    done: str = await connection.execute(
        """insert into sign_in
             (state_hash, browser_hash, nonce, verifier, return_path, network, created_at)
           select $1, $2, $3, $4, $5, $6, $7
           where (select count(*) from (select from sign_in where network = $6 limit $8) n) < $8
             and (select count(*) from (select from sign_in limit $9) n) < $9""",
        state_hash,
        browser_hash,
        *attempt,
        network,
        now,
        MAX_OF_NETWORK,
        MAX_OF_ALL,
    )
    return done.endswith(" 1")


async def take(
    connection: Connection, state_hash: bytes, browser_hash: bytes, now: datetime
) -> Attempt | None:
    """Return what this browser has begun, once."""
    row = await connection.fetchrow(
        """delete from sign_in where state_hash = $1 and browser_hash = $2
           returning nonce, verifier, return_path, created_at""",
        state_hash,
        browser_hash,
    )
    if row is None or not timedelta(0) <= now - row["created_at"] < LASTS:
        return None
    return Attempt(row["nonce"], row["verifier"], row["return_path"])


async def is_new_logout(connection: Connection, jti_hash: bytes, until: datetime, now: datetime) -> bool:
    """Remember a logout token until it is invalid anyway; return False when it was used before."""
    await connection.execute("delete from logout_token where expires_at <= $1", now)
    done: str = await connection.execute(
        "insert into logout_token (jti_hash, expires_at) values ($1, $2) on conflict do nothing",
        jti_hash,
        until,
    )
    return done.endswith(" 1")
