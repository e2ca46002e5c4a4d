"""The policy log: rules and settings as versions that are open from one number to another.

`seq` numbers come from `PolicyHeadRow`, whose row lock orders commits: "seq <= S" is a stable
snapshot. What a machine should have is a function of (signature, seq) alone.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from santaserver.models.base import Base


class PolicyHeadRow(Base):
    """The number of the newest policy change; a single row."""

    __tablename__ = "policy_head"

    only_row: Mapped[bool] = mapped_column(primary_key=True)
    seq: Mapped[int]
    settings_seq: Mapped[int]
    layer_version: Mapped[int]
    next_change_at: Mapped[datetime | None]


class Layer(Base):
    """A place that rules and settings belong to; higher ranks win."""

    __tablename__ = "layer"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    rank: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]
    tag_id: Mapped[int | None] = mapped_column(ForeignKey("tag.id"))
    machine_id: Mapped[int | None] = mapped_column(ForeignKey("machine.id"))
    used: Mapped[bool] = mapped_column(default=False)
    removed_at: Mapped[datetime | None]


class Tag(Base):
    """A named set of machines; members are manual, or by enrollment, directory group or predicate."""

    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str]
    predicate: Mapped[str | None]
    groups: Mapped[list[str]]
    created_at: Mapped[datetime]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    removed_at: Mapped[datetime | None]


class TagEnrollment(Base):
    """Machines of this enrollment have this tag."""

    __tablename__ = "tag_enrollment"

    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"), primary_key=True)
    enrollment_id: Mapped[int] = mapped_column(ForeignKey("enrollment.id"), primary_key=True)


class TagMember(Base):
    """A machine's time in a tag, by one source; `left_at` null while it lasts."""

    __tablename__ = "tag_member"

    id: Mapped[int] = mapped_column(primary_key=True)
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"))
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    source: Mapped[str]
    joined_at: Mapped[datetime]
    joined_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    left_at: Mapped[datetime | None]
    left_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))


class TagOrderVersion(Base):
    """The order of the tags, lowest first, from a policy number until the next entry."""

    __tablename__ = "tag_order_version"

    seq: Mapped[int] = mapped_column(primary_key=True)
    tags: Mapped[list[int]]
    opened_at: Mapped[datetime]
    opened_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))


class PolicySignature(Base):
    """What decides a machine's rules besides time: its layers (lowest rank first) and capability bits."""

    __tablename__ = "policy_signature"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    layers: Mapped[list[int]]
    capabilities: Mapped[int] = mapped_column(Integer)


class Rule(Base):
    """A target in a layer; what it does is in its versions. Never deleted, only removed."""

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
    """The content of a rule from `opened_seq` until before `closed_seq`. Append-only.

    Without `opened_seq` it waits for `starts_at`, or was cancelled before that.
    """

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
    needs_level: Mapped[int] = mapped_column(Integer)
    grants_compiler: Mapped[bool]
    locked: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(default="")
    starts_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    opened_seq: Mapped[int | None]
    closed_seq: Mapped[int | None]
    opened_at: Mapped[datetime]
    opened_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))


class SettingVersion(Base):
    """One setting of a layer from `opened_seq` until before `closed_seq`. Append-only."""

    __tablename__ = "setting_version"

    id: Mapped[int] = mapped_column(primary_key=True)
    layer_id: Mapped[int] = mapped_column(ForeignKey("layer.id"))
    key: Mapped[str]
    value: Mapped[Any] = mapped_column(JSONB)
    locked: Mapped[bool] = mapped_column(default=False)
    opened_seq: Mapped[int]
    closed_seq: Mapped[int | None]
    opened_at: Mapped[datetime]
    opened_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
