"""Executions, the programs behind them, bundles and file accesses."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Computed, ForeignKey, Integer, Sequence
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from santaserver.models.base import Base


class Certificate(Base):
    """A certificate seen in a signing chain."""

    __tablename__ = "certificate"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    cn: Mapped[str]
    org: Mapped[str]
    ou: Mapped[str]
    valid_from: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]


class Executable(Base):
    """A program file by content; `signing_chain` holds certificate digests, leaf first."""

    __tablename__ = "executable"

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str]
    file_name: Mapped[str]
    file_path: Mapped[str]
    team_id: Mapped[str]
    signing_id: Mapped[str]
    cdhash: Mapped[str]
    bundle_id: Mapped[str]
    bundle_name: Mapped[str]
    bundle_path: Mapped[str]
    bundle_version: Mapped[str]
    bundle_hash: Mapped[str]
    signing_chain: Mapped[list[str]]
    signing_status: Mapped[str]
    cs_flags: Mapped[int | None]
    entitlements: Mapped[dict[str, Any] | None]
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class ExecutableClaim(Base):
    """A signature that Macs say a program has."""

    __tablename__ = "executable_claim"

    executable_id: Mapped[int] = mapped_column(ForeignKey("executable.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    team_id: Mapped[str]
    signing_id: Mapped[str]
    cdhash: Mapped[str]
    signing_chain: Mapped[list[str]]
    claimed_at: Mapped[datetime]


class ExecutableClaimMachine(Base):
    """A Mac that reports it."""

    __tablename__ = "executable_claim_machine"

    executable_id: Mapped[int] = mapped_column(primary_key=True)
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    digest: Mapped[bytes]


class ExecutableBundleClaim(Base):
    """A bundle that Macs report a program in."""

    __tablename__ = "executable_bundle_claim"

    executable_id: Mapped[int] = mapped_column(ForeignKey("executable.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    bundle_id: Mapped[str]
    bundle_name: Mapped[str]
    bundle_version: Mapped[str]
    bundle_hash: Mapped[str]
    claimed_at: Mapped[datetime]


class ExecutableBundleClaimMachine(Base):
    """A Mac that reports it."""

    __tablename__ = "executable_bundle_claim_machine"

    executable_id: Mapped[int] = mapped_column(primary_key=True)
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    digest: Mapped[bytes]


class CertificateClaim(Base):
    """What Macs report about a certificate."""

    __tablename__ = "certificate_claim"

    sha256: Mapped[str] = mapped_column(ForeignKey("certificate.sha256"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    cn: Mapped[str]
    org: Mapped[str]
    ou: Mapped[str]
    valid_from: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]
    claimed_at: Mapped[datetime]


class CertificateClaimMachine(Base):
    """A Mac that reports it."""

    __tablename__ = "certificate_claim_machine"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    digest: Mapped[bytes]


class BundleClaim(Base):
    """How many programs a bundle has, as Macs report it."""

    __tablename__ = "bundle_claim"

    hash: Mapped[str] = mapped_column(ForeignKey("bundle.hash"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    binary_count: Mapped[int] = mapped_column(Integer)
    claimed_at: Mapped[datetime]


class BundleClaimMachine(Base):
    """A Mac that reports it."""

    __tablename__ = "bundle_claim_machine"

    hash: Mapped[str] = mapped_column(primary_key=True)
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    digest: Mapped[bytes]


class ExecutablePath(Base):
    """A name and path of a program beside those in `Executable`."""

    __tablename__ = "executable_path"

    executable_id: Mapped[int] = mapped_column(ForeignKey("executable.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    file_path: Mapped[str]
    file_name: Mapped[str]


class Bundle(Base):
    """An application bundle by Santa's bundle hash."""

    __tablename__ = "bundle"

    hash: Mapped[str] = mapped_column(primary_key=True)
    binary_count: Mapped[int] = mapped_column(Integer)
    first_seen_at: Mapped[datetime]


class BundleBinary(Base):
    """A program that belongs to a bundle."""

    __tablename__ = "bundle_binary"

    bundle_hash: Mapped[str] = mapped_column(ForeignKey("bundle.hash"), primary_key=True)
    executable_id: Mapped[int] = mapped_column(ForeignKey("executable.id"), primary_key=True)


class Event(Base):
    """One execution; partitioned by day of `occurred_at`."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(Sequence("event_id_seq"), primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    received_at: Mapped[datetime]
    machine_id: Mapped[int]
    executable_id: Mapped[int]
    pid: Mapped[int] = mapped_column(Integer)
    ppid: Mapped[int] = mapped_column(Integer)
    decision: Mapped[str]
    blocked: Mapped[bool] = mapped_column(Computed("starts_with(decision, 'BLOCK')", persisted=True))
    static_rule: Mapped[bool]
    file_name: Mapped[str]
    file_path: Mapped[str]
    executing_user: Mapped[str]
    parent_name: Mapped[str]
    logged_in_users: Mapped[list[str]]
    current_sessions: Mapped[list[str]]
    quarantine: Mapped[dict[str, Any] | None]


class EventHour(Base):
    """How many events happened in an hour."""

    __tablename__ = "event_hour"

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    decision: Mapped[str] = mapped_column(primary_key=True)
    events: Mapped[int]


class ProgramDay(Base):
    """How many events a program caused on a day, in UTC."""

    __tablename__ = "program_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    executable_id: Mapped[int] = mapped_column(primary_key=True)
    decision: Mapped[str] = mapped_column(primary_key=True)
    events: Mapped[int]


class FileAccessEvent(Base):
    """One file access that a rule in a Mac's profile watched; partitioned by day of `occurred_at`."""

    __tablename__ = "file_access_event"

    id: Mapped[int] = mapped_column(Sequence("file_access_id_seq"), primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    received_at: Mapped[datetime]
    machine_id: Mapped[int]
    rule_name: Mapped[str]
    rule_version: Mapped[str]
    target: Mapped[str]
    decision: Mapped[str]
    process_chain: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    dedupe_key: Mapped[bytes]


class AgentAuditEvent(Base):
    """Something the agent did on its own, such as making a rule that a user approved."""

    __tablename__ = "agent_audit_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    kind: Mapped[str]
    detail: Mapped[dict[str, Any]]
    dedupe_key: Mapped[bytes]
