"""API tokens in the database."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import astuple

from santaserver.db import Connection, rows_of
from santaserver.users.bindings import BINDINGS


class FoundToken(Struct, frozen=True):
    """A token and its owner, as each request needs them."""

    id: int
    name: str
    secret_hash: bytes
    previous_hash: bytes | None
    previous_until: datetime | None
    permissions: list[str]
    tag_ids: list[int] | None
    tag_names: list[str]
    networks: list[str]
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    last_address: str
    previous_used_at: datetime | None
    user_id: int
    username: str
    display_name: str
    enabled: bool
    bindings: str


class TokenRow(Struct, frozen=True):
    """A token as lists show it."""

    id: int
    name: str
    hint: str
    user_id: int
    username: str
    kind: str
    enabled: bool
    permissions: list[str]
    tag_ids: list[int] | None
    tag_names: list[str]
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

    user_id: int
    name: str
    hint: str
    secret_hash: bytes
    permissions: list[str]
    tag_ids: list[int] | None
    networks: list[str]
    created_at: datetime
    created_by: int | None
    expires_at: datetime


NAMES = """array(select g.name from unnest(t.tag_ids) with ordinality i (id, place)
  join tag g on g.id = i.id order by i.place)"""
"""Also of removed tags; in the order of their ids."""
FIND = f"""
select t.id, t.name, t.secret_hash, t.previous_hash, t.previous_until, t.permissions, t.tag_ids, {NAMES},
  t.networks, t.expires_at, t.revoked_at, t.last_used_at, t.last_address, t.previous_used_at,
  u.id, u.username, u.display_name, u.enabled, {BINDINGS}
from api_token t join app_user u on u.id = t.user_id
where t.secret_hash = $1 or t.previous_hash = $1
"""  # noqa: S608 - a constant
LIST = f"""
select t.id, t.name, t.hint, u.id, u.username, u.kind, u.enabled, t.permissions, t.tag_ids, {NAMES},
  t.networks, t.created_at, a.username, t.rotated_at, t.previous_until, t.previous_used_at, t.expires_at,
  t.revoked_at, t.last_used_at, t.last_address
from api_token t join app_user u on u.id = t.user_id left join app_user a on a.id = t.created_by
"""  # noqa: S608 - a constant
TOUCH = """
update api_token set last_used_at = $2, last_address = $3,
  previous_used_at = case when $4 then $2 else previous_used_at end
where id = $1 and coalesce(case when $4 then previous_used_at else last_used_at end < $2, true)
"""


async def find_token(connection: Connection, secret_hash: bytes) -> FoundToken | None:
    """Return the token with this secret, whatever state it is in."""
    row = await connection.fetchrow(FIND, secret_hash)
    return FoundToken(*row) if row else None


async def touch_token(
    connection: Connection, token: int, now: datetime, address: str, *, previous: bool
) -> None:
    """Store that a token was used; `previous`: with the secret before the last rotation."""
    await connection.execute(TOUCH, token, now, address, previous)


async def list_tokens(
    connection: Connection, owner: int | None, kind: str | None, after: int, limit: int
) -> list[TokenRow]:
    """Return tokens that were not revoked, of one user or of all owners of a kind."""
    rows = await connection.fetch(
        f"""{LIST} where t.revoked_at is null and t.id > $3 and ($1::bigint is null or t.user_id = $1)
            and ($2::text is null or u.kind = $2) order by t.id limit $4""",
        owner,
        kind,
        after,
        limit,
    )
    return [TokenRow(*row) for row in rows]


async def read_token(connection: Connection, token: int) -> TokenRow | None:
    """Return a token, also a revoked one."""
    row = await connection.fetchrow(f"{LIST} where t.id = $1", token)
    return TokenRow(*row) if row else None


async def lock_token(connection: Connection, token: int) -> None:
    """Let nobody else change a token before this transaction ends."""
    await connection.execute("select from api_token where id = $1 for update", token)


async def count_tokens(connection: Connection, owner: int) -> int:
    """Return how many tokens a user has, not counting those that were revoked."""
    number: int = await connection.fetchval(
        "select count(*) from api_token where user_id = $1 and revoked_at is null", owner
    )
    return number


async def add_token(connection: Connection, token: NewToken) -> int | None:
    """Store a token; return its id, or None when its owner has another one of this name."""
    number: int | None = await connection.fetchval(
        """insert into api_token (user_id, name, hint, secret_hash, permissions, tag_ids, networks,
             created_at, created_by, expires_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing returning id""",
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
        """update api_token set secret_hash = $2, hint = $3, rotated_at = $4, expires_at = $5,
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
        """update api_token set revoked_at = $2, previous_hash = null, previous_until = null
           where id = $1 and revoked_at is null""",
        token,
        now,
    )
    return rows_of(done) == 1
