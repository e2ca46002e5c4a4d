"""Console users and what they did."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Identity, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from santaserver.models.base import Base


class AppUser(Base):
    """Somebody who may log in; `username` is lower case."""

    __tablename__ = "app_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    display_name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str | None]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class UserSession(Base):
    """A login; the cookie's id is stored as its SHA-256 only."""

    __tablename__ = "user_session"

    id_hash: Mapped[bytes] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity(always=True))
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    address: Mapped[str]
    user_agent: Mapped[str]


class LoginFailure(Base):
    """Failed logins that one counter of users/throttle.py has seen."""

    __tablename__ = "login_failure"

    key: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    last_failure_at: Mapped[datetime]


class AuditLog(Base):
    """One administrative act, with the object before and after it."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    actor_name: Mapped[str]
    action: Mapped[str]
    object_type: Mapped[str]
    object_id: Mapped[str]
    policy_seq: Mapped[int | None]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
