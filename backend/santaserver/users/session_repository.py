"""Sessions in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from santaserver.db import Connection, rows_of
from santaserver.permissions import PERMISSIONS, Permission, Role
from santaserver.users.bindings import BINDINGS

MAX_LISTED = 1000
MAX_TEXT = 300
MANAGERS = [str(role) for role in Role if Permission.USER_WRITE in PERMISSIONS[role]]

LIST = """
select s.id, u.username, s.created_at, s.last_seen_at, s.expires_at, s.address, s.user_agent,
  exists (select from user_binding b left join custom_role r on r.id = b.custom_role_id
          where b.user_id = u.id and b.tag_id is null
            and (b.role = any($4) or 'user:write' = any(r.permissions)))
from user_session s join app_user u on u.id = s.user_id
where s.expires_at > $1 and ($2::text is null or u.username = $2)
order by s.last_seen_at desc, s.id desc limit $3
"""


class ProviderSession(NamedTuple):
    """The session at the identity provider that a session here belongs to."""

    issuer: str
    subject: str
    session_id: str
    """What the provider calls it; empty when it did not say."""
    logout_hint: str
    notice: str
    """What could not be found out at the sign-in; a kind of failure."""


class Login(NamedTuple):
    """The user, place and time of a new session."""

    user_id: int
    address: str
    user_agent: str
    now: datetime
    provider: ProviderSession | None = None


class FoundSession(Struct, frozen=True):
    """A session and its user, as each request needs them."""

    id: int
    id_hash: bytes
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    authenticated_at: datetime
    renew: bool
    previous_until: datetime | None
    user_id: int
    username: str
    display_name: str
    bindings: str
    notice: str


class ListedSession(Struct, frozen=True):
    """A session as its owner sees it."""

    id: int
    username: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    user_agent: str
    manages: bool
    """Whether the user may change users."""


async def add_session(connection: Connection, id_hash: bytes, login: Login, until: datetime) -> None:
    """Store a session and drop the ones that have run out."""
    await connection.execute("delete from user_session where expires_at <= $1", login.now)
    await connection.execute(
        """insert into user_session
             (id_hash, user_id, created_at, last_seen_at, authenticated_at, expires_at, address, user_agent,
              issuer, subject, provider_sid, logout_hint, notice)
           values ($1, $2, $3, $3, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11, ''))""",
        id_hash,
        login.user_id,
        login.now,
        until,
        login.address[:MAX_TEXT],
        login.user_agent[:MAX_TEXT].replace("\0", ""),
        *(login.provider or (None, None, None, None, None)),
    )


async def find_session(connection: Connection, id_hash: bytes, now: datetime) -> FoundSession | None:
    """Return a session and its user, unless the account is disabled."""
    row = await connection.fetchrow(
        f"""select s.id, s.id_hash, s.created_at, s.last_seen_at, s.expires_at, s.authenticated_at, s.renew,
              s.previous_until, u.id, u.username, u.display_name, {BINDINGS}, s.notice
            from user_session s join app_user u on u.id = s.user_id
            where (s.id_hash = $1 or s.previous_hash = $1 and s.previous_until > $2)
              and u.enabled""",  # noqa: S608 - a constant
        id_hash,
        now,
    )
    return FoundSession(*row) if row else None


async def touch_session(connection: Connection, id_hash: bytes, now: datetime, until: datetime) -> None:
    """Prolong a session that is in use."""
    await connection.execute(
        """update user_session set last_seen_at = $2, expires_at = greatest(expires_at, $3)
           where id_hash = $1 and last_seen_at < $2""",
        id_hash,
        now,
        until,
    )


async def renew_session(
    connection: Connection,
    id_hash: bytes,
    renewed: bytes,
    until: datetime,
    authenticated_at: datetime | None = None,
) -> bool:
    """Give a session another id; the present one stays valid until a moment. False when it was done before.

    Without `authenticated_at` only a session that has to be renewed gets one.
    """
    done = await connection.execute(
        """update user_session set id_hash = $2, previous_hash = id_hash, previous_until = $3, renew = false,
             authenticated_at = coalesce($4, authenticated_at)
           where id_hash = $1 and (renew or $4::timestamptz is not null)
             or previous_hash = $1 and $4::timestamptz is not null""",
        id_hash,
        renewed,
        until,
        authenticated_at,
    )
    return rows_of(done) == 1


async def renew_all(connection: Connection, user_id: int) -> None:
    """Let the next request of each session of a user bring it another id."""
    await connection.execute("update user_session set renew = true where user_id = $1", user_id)


class Owner(NamedTuple):
    """The user of a session that was ended."""

    id: int
    username: str
    session: int


ENDED = """
with ended as (delete from user_session s where {} returning s.id, s.user_id)
select u.id, u.username, e.id from ended e join app_user u on u.id = e.user_id order by e.id
"""


async def logout_hint(connection: Connection, id_hash: bytes) -> str | None:
    """Return the hint for a logout at the identity provider; None for a session of a local account."""
    hint: str | None = await connection.fetchval(
        "select coalesce(logout_hint, '') from user_session where id_hash = $1 and issuer is not null",
        id_hash,
    )
    return hint


async def delete_of_provider(
    connection: Connection, issuer: str, subject: str | None, session_id: str | None
) -> list[Owner]:
    """End the sessions that belong to one at the provider, or to a person of it; return them."""
    chosen = """s.issuer = $1 and ($2::text is null or s.subject = $2)
      and ($3::text is null or s.provider_sid = $3)"""
    rows = await connection.fetch(ENDED.format(chosen), issuer, subject, session_id)
    return [Owner(*row) for row in rows]


async def delete_session(connection: Connection, id_hash: bytes) -> Owner | None:
    """Forget a session; return whose it was."""
    chosen = "s.id_hash = $1 or s.previous_hash = $1"
    row = await connection.fetchrow(ENDED.format(chosen), id_hash)
    return Owner(*row) if row else None


async def list_sessions(
    connection: Connection, now: datetime, username: str | None
) -> Sequence[ListedSession]:
    """Return live sessions, of one user or of all, those used last first."""
    return [ListedSession(*row) for row in await connection.fetch(LIST, now, username, MAX_LISTED, MANAGERS)]


async def delete_by_id(connection: Connection, session_id: int, owner: int | None) -> list[Owner]:
    """End a session, which has to be the owner's when one is given; return it if it was there."""
    chosen = "s.id = $1 and ($2::bigint is null or s.user_id = $2)"
    return [Owner(*row) for row in await connection.fetch(ENDED.format(chosen), session_id, owner)]


async def delete_of_user(connection: Connection, username: str, but: int | None = None) -> list[Owner]:
    """End all sessions of a user except one; return them."""
    chosen = """s.user_id = (select id from app_user where username = $1)
      and ($2::bigint is null or s.id <> $2)"""
    return [Owner(*row) for row in await connection.fetch(ENDED.format(chosen), username, but)]


async def delete_all(connection: Connection) -> list[Owner]:
    """End every session; return them."""
    return [Owner(*row) for row in await connection.fetch(ENDED.format("true"))]
