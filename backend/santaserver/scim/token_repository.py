"""SCIM tokens in the database."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import astuple

from santaserver.db import Connection, rows_of


class FoundToken(Struct, frozen=True):
    """A token as each request needs it."""

    id: int
    name: str
    is_previous: bool
    networks: list[str]
    expires_at: datetime
    previous_until: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class TokenRow(Struct, frozen=True):
    """A token as lists show it."""

    id: int
    name: str
    hint: str
    networks: list[str]
    created_at: datetime
    created_by: str | None
    rotated_at: datetime | None
    previous_until: datetime | None
    previous_used_at: datetime | None
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    last_address: str


class NewToken(Struct, frozen=True):
    """A token to store."""

    name: str
    hint: str
    secret_hash: bytes
    networks: list[str]
    created_at: datetime
    created_by: int | None
    expires_at: datetime


LIST = """
select t.id, t.name, t.hint, t.networks, t.created_at, u.username, t.rotated_at, t.previous_until,
  t.previous_used_at, t.expires_at, t.revoked_at, t.last_used_at, t.last_address
from scim_token t left join app_user u on u.id = t.created_by
"""


async def find_token(connection: Connection, secret_hash: bytes) -> FoundToken | None:
    """Return the token with this secret, whatever state it is in."""
    row = await connection.fetchrow(
        """select id, name, secret_hash <> $1, networks, expires_at, previous_until, revoked_at,
             case when secret_hash = $1 then last_used_at else previous_used_at end
           from scim_token where secret_hash = $1 or previous_hash = $1""",
        secret_hash,
    )
    return FoundToken(*row) if row else None


async def touch_token(
    connection: Connection, token: int, now: datetime, address: str, *, previous: bool
) -> None:
    """Store that a token was used; `previous`: with the secret before the last rotation."""
    await connection.execute(
        """update scim_token set last_used_at = $2, last_address = $3,
             previous_used_at = case when $4 then $2 else previous_used_at end
           where id = $1 and coalesce(case when $4 then previous_used_at else last_used_at end < $2, true)""",
        token,
        now,
        address,
        previous,
    )


async def list_tokens(connection: Connection, after: int, limit: int) -> list[TokenRow]:
    """Return tokens that were not revoked."""
    rows = await connection.fetch(
        f"{LIST} where t.revoked_at is null and t.id > $1 order by t.id limit $2", after, limit
    )
    return [TokenRow(*row) for row in rows]


async def read_token(connection: Connection, token: int, *, lock: bool = False) -> TokenRow | None:
    """Return a token, also a revoked one; with `lock`, nobody else changes it meanwhile."""
    row = await connection.fetchrow(f"{LIST} where t.id = $1" + (" for update of t" if lock else ""), token)
    return TokenRow(*row) if row else None


async def count_tokens(connection: Connection) -> int:
    """Return how many there are, not counting those that were revoked."""
    number: int = await connection.fetchval("select count(*) from scim_token where revoked_at is null")
    return number


async def add_token(connection: Connection, token: NewToken) -> int | None:
    """Store a token; return its id, or None when there is another one of this name."""
    number: int | None = await connection.fetchval(
        """insert into scim_token (name, hint, secret_hash, networks, created_at, created_by, expires_at)
           values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing returning id""",
        *astuple(token),
    )
    return number


async def rotate_token(
    connection: Connection,
    token: int,
    secret_hash: bytes,
    hint: str,
    now: datetime,
    expires_at: datetime,
    previous_until: datetime | None,
) -> None:
    """Give a token another secret; the present one stays valid until a moment, or not at all."""
    await connection.execute(
        """update scim_token set secret_hash = $2, hint = $3, rotated_at = $4, expires_at = $5,
             previous_hash = case when $6::timestamptz is null then null else secret_hash end,
             previous_until = $6, previous_used_at = null
           where id = $1""",
        token,
        secret_hash,
        hint,
        now,
        expires_at,
        previous_until,
    )


async def revoke_token(connection: Connection, token: int, now: datetime) -> bool:
    """Revoke a token for good; return False when it was."""
    done = await connection.execute(
        """update scim_token set revoked_at = $2, previous_hash = null, previous_until = null
           where id = $1 and revoked_at is null""",
        token,
        now,
    )
    return rows_of(done) == 1
