"""Macs, what they reported, and how far their rules are."""

from datetime import datetime

from sqlalchemy import ARRAY, ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column

from santaserver.models.base import Base


class EnrollmentRow(Base):
    """A secret that lets Macs sync; stored as its SHA-256 only."""

    __tablename__ = "enrollment"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]
    secret_hash: Mapped[bytes]
    quota: Mapped[int | None] = mapped_column(Integer)
    serial_allowlist: Mapped[list[str] | None]
    expires_at: Mapped[datetime | None]
    client_certificate: Mapped[bool] = mapped_column(default=False)
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    created_at: Mapped[datetime]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))


class Machine(Base):
    """One Mac, in its own words of the last preflight."""

    __tablename__ = "machine"

    id: Mapped[int] = mapped_column(primary_key=True)
    machine_id: Mapped[str]
    serial: Mapped[str]
    hostname: Mapped[str]
    model: Mapped[str]
    os_version: Mapped[str]
    os_build: Mapped[str]
    santa_version: Mapped[str]
    primary_user: Mapped[str]
    primary_user_groups: Mapped[list[str]]
    client_mode: Mapped[str]
    sip_status: Mapped[int]
    rules_hash: Mapped[str]
    binary_rules: Mapped[int]
    certificate_rules: Mapped[int]
    teamid_rules: Mapped[int]
    signingid_rules: Mapped[int]
    cdhash_rules: Mapped[int]
    compiler_rules: Mapped[int]
    transitive_rules: Mapped[int]
    enrollment_id: Mapped[int | None] = mapped_column(ForeignKey("enrollment.id"))
    enrolled_at: Mapped[datetime]
    identity_conflict_at: Mapped[datetime | None]
    client_certificate: Mapped[bytes | None]
    # The table still has last_preflight_at and last_postflight_at, for a rollback to the release
    # before; the times live in `MachineSync`.


class MachineSerial(Base):
    """A serial number that a machine id was used with; more than one is a conflict."""

    __tablename__ = "machine_serial"

    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    serial: Mapped[str] = mapped_column(primary_key=True)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class SyncSession(Base):
    """One sync with its frozen target; `base_*` are the states the Mac may be in."""

    __tablename__ = "sync_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    target_signature: Mapped[int] = mapped_column(Integer, ForeignKey("policy_signature.id"))
    target_seq: Mapped[int]
    kind: Mapped[str]
    clean_reason: Mapped[str | None]
    base_signatures: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    base_seqs: Mapped[list[int]]
    hash_before: Mapped[str]
    held: Mapped[bool]
    first_page_at: Mapped[datetime | None]
    sent_count: Mapped[int | None] = mapped_column(Integer)
    received_count: Mapped[int | None]
    processed_count: Mapped[int | None]
    hash_after: Mapped[str | None]
    state: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class MachineSync(Base):
    """What a Mac confirmed (acked), may have (possible) and is about to get (pending).

    One row of some 250 bytes that every sync updates, so nothing that rarely changes belongs here.
    """

    __tablename__ = "machine_sync"

    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    acked_signature: Mapped[int | None] = mapped_column(Integer, ForeignKey("policy_signature.id"))
    acked_seq: Mapped[int | None]
    acked_hash: Mapped[str]
    possible_signatures: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    possible_seqs: Mapped[list[int]]
    pending_session: Mapped[int | None]
    """The open sync; syncs that send nothing leave no row in `SyncSession`."""
    pending_signature: Mapped[int | None] = mapped_column(Integer, ForeignKey("policy_signature.id"))
    pending_seq: Mapped[int | None]
    pending_kind: Mapped[str | None]
    pending_hash: Mapped[str | None]
    pending_served: Mapped[bool]
    pending_sent: Mapped[int | None] = mapped_column(Integer)
    recent_counts: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    queued_clean: Mapped[str | None]
    drift_cleans: Mapped[int] = mapped_column(Integer)
    last_drift_clean_at: Mapped[datetime | None]
    drift_held: Mapped[bool]
    drift_since: Mapped[datetime | None]
    """Since when its rule table was not what it should be."""
    expected_counts: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    """What its counts should have been when they were last seen to differ: as in `RuleCounts`."""
    signature: Mapped[int | None] = mapped_column(Integer, ForeignKey("policy_signature.id"))
    facts_key: Mapped[bytes | None]
    """Digest of what the machine reported and of the layers' version: `signature` holds while it does."""
    last_preflight_at: Mapped[datetime | None]
    last_postflight_at: Mapped[datetime | None]
    last_clean_at: Mapped[datetime | None]
    monitor_until: Mapped[datetime | None]


class MonitorWindow(Base):
    """A time in which one machine runs in MONITOR mode whatever its settings say."""

    __tablename__ = "monitor_window"

    id: Mapped[int] = mapped_column(primary_key=True)
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason: Mapped[str]
    opened_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
