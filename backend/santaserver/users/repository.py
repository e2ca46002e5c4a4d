"""Users and what they did in the database."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.models import AppUser, AuditLog, LoginFailure, UserSession


async def upsert_user(
    session: AsyncSession, username: str, display_name: str, role: str, hashed: str
) -> None:
    """Create an account, or give an existing one this role and password, which ends its sessions."""
    values = {"display_name": display_name, "role": role, "password_hash": hashed, "disabled_at": None}
    statement = insert(AppUser).values(username=username, created_at=func.now(), **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["username"], set_=values))
    whose = select(AppUser.id).where(AppUser.username == username).scalar_subquery()
    await session.execute(delete(UserSession).where(UserSession.user_id == whose))
    await session.execute(delete(LoginFailure).where(LoginFailure.key == f"account:{username}"))


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
