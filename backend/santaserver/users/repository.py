"""Users, sessions and failed logins in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

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


async def find_session(
    session: AsyncSession, id_hash: bytes, now: datetime
) -> tuple[UserSession, AppUser] | None:
    """Return a live login and its user."""
    query = (
        select(UserSession, AppUser)
        .join(AppUser, AppUser.id == UserSession.user_id)
        .where(UserSession.id_hash == id_hash, UserSession.expires_at > now, AppUser.disabled_at.is_(None))
    )
    row = (await session.execute(query)).one_or_none()
    return (row[0], row[1]) if row else None


async def touch_session(session: AsyncSession, id_hash: bytes, now: datetime, until: datetime) -> None:
    """Prolong a login that is in use."""
    await session.execute(
        update(UserSession).where(UserSession.id_hash == id_hash).values(last_seen_at=now, expires_at=until)
    )


async def delete_session(session: AsyncSession, id_hash: bytes) -> None:
    """Forget a login."""
    await session.execute(delete(UserSession).where(UserSession.id_hash == id_hash))


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
