"""Users, sessions and failed logins in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.db import Connection
from santaserver.models import AppUser, AuditLog, LoginFailure, UserSession
from santaserver.users.throttle import FORGET_AFTER, Failures


async def find_user(session: AsyncSession, username: str) -> AppUser | None:
    """Return an account that may log in."""
    query = select(AppUser).where(AppUser.username == username, AppUser.disabled_at.is_(None))
    return (await session.execute(query)).scalar_one_or_none()


async def upsert_user(
    session: AsyncSession, username: str, display_name: str, role: str, hashed: str
) -> None:
    """Create an account, or give an existing one this role and password."""
    values = {"display_name": display_name, "role": role, "password_hash": hashed, "disabled_at": None}
    statement = insert(AppUser).values(username=username, created_at=func.now(), **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["username"], set_=values))


async def add_session(
    session: AsyncSession, id_hash: bytes, user_id: int, now: datetime, until: datetime
) -> None:
    """Store a login and drop the ones that have run out."""
    await session.execute(delete(UserSession).where(UserSession.expires_at <= now))
    session.add(
        UserSession(id_hash=id_hash, user_id=user_id, created_at=now, last_seen_at=now, expires_at=until)
    )


async def find_session(connection: Connection, id_hash: bytes) -> Any | None:  # noqa: ANN401 - a record
    """Return a login and its user, unless the account is disabled."""
    return await connection.fetchrow(
        """select s.id_hash, s.created_at, s.last_seen_at, s.expires_at,
             u.id as user_id, u.username, u.display_name, u.role
           from user_session s join app_user u on u.id = s.user_id
           where s.id_hash = $1 and u.disabled_at is null""",
        id_hash,
    )


async def touch_session(connection: Connection, id_hash: bytes, now: datetime, until: datetime) -> None:
    """Prolong a login that is in use."""
    await connection.execute(
        "update user_session set last_seen_at = $2, expires_at = $3 where id_hash = $1 and last_seen_at < $2",
        id_hash,
        now,
        until,
    )


async def delete_session(connection: Connection, id_hash: bytes) -> None:
    """Forget a login."""
    await connection.execute("delete from user_session where id_hash = $1", id_hash)


async def failures(session: AsyncSession, keys: Sequence[str]) -> dict[str, Failures]:
    """Return the counters that exist."""
    query = select(LoginFailure).where(LoginFailure.key.in_(keys))
    rows = (await session.execute(query)).scalars()
    return {row.key: Failures(row.failures, row.last_failure_at) for row in rows}


async def count_failure(session: AsyncSession, key: str, now: datetime) -> None:
    """Add a failed login; forget counters that are old."""
    await session.execute(delete(LoginFailure).where(LoginFailure.last_failure_at < now - FORGET_AFTER))
    statement = insert(LoginFailure).values(key=key, failures=1, last_failure_at=now)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["key"], set_={"failures": LoginFailure.failures + 1, "last_failure_at": now}
        )
    )


async def clear_failures(session: AsyncSession, key: str) -> None:
    """Start counting anew after a good login."""
    await session.execute(delete(LoginFailure).where(LoginFailure.key == key))


def audit(
    session: AsyncSession,
    actor: tuple[int | None, str],
    now: datetime,
    action: str,
    target: tuple[str, str],
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    policy_seq: int | None = None,
) -> None:
    """Write down who did what; `target` is (type, id)."""
    session.add(
        AuditLog(
            at=now,
            actor_id=actor[0],
            actor_name=actor[1],
            action=action,
            object_type=target[0],
            object_id=target[1],
            policy_seq=policy_seq,
            before=before,
            after=after,
        )
    )
