"""The tables that `rest` reads, as SQLAlchemy entities: those of SantaServer's own schema."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own form
        int: BigInteger,
        str: Text,
        datetime: DateTime(timezone=True),
    }


class AppUser(Base):
    """A user account."""

    __tablename__ = "app_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    display_name: Mapped[str]
    password_hash: Mapped[str | None]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class UserSession(Base):
    """A login."""

    __tablename__ = "user_session"

    id_hash: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Layer(Base):
    """A place that rules belong to."""

    __tablename__ = "layer"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]


class Rule(Base):
    """A target in a layer."""

    __tablename__ = "rule"

    id: Mapped[int] = mapped_column(primary_key=True)
    layer_id: Mapped[int] = mapped_column(ForeignKey("layer.id"))
    rule_type: Mapped[str]
    identifier: Mapped[str]
    comment: Mapped[str]
    created_at: Mapped[datetime]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    removed_at: Mapped[datetime | None]


class RuleVersion(Base):
    """The content of a rule from one policy number until before another."""

    __tablename__ = "rule_version"

    id: Mapped[int] = mapped_column(primary_key=True)
    rule_id: Mapped[int] = mapped_column(ForeignKey("rule.id"))
    layer_id: Mapped[int]
    rule_type: Mapped[str]
    identifier: Mapped[str]
    policy: Mapped[str]
    cel_expr: Mapped[str | None]
    custom_msg: Mapped[str]
    custom_url: Mapped[str]
    needs_level: Mapped[int]
    grants_compiler: Mapped[bool]
    locked: Mapped[bool]
    reason: Mapped[str]
    starts_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    opened_seq: Mapped[int | None]
    closed_seq: Mapped[int | None]
    opened_at: Mapped[datetime]
    opened_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))


class MachineSync(Base):
    """How far the rules of a Mac are."""

    __tablename__ = "machine_sync"

    machine_id: Mapped[int] = mapped_column(primary_key=True)
    acked_seq: Mapped[int | None]
