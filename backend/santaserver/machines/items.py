"""Machines as lists write them; the fields are those of schemas.py. Pure."""

from datetime import datetime

from msgspec import Struct

from santaserver.reads import Row


class RuleCountsItem(Struct):
    """As `schemas.RuleCounts`."""

    binary: int
    certificate: int
    teamid: int
    signingid: int
    cdhash: int
    compiler: int
    transitive: int


class LastSyncItem(Struct):
    """As `schemas.LastSync`."""

    kind: str
    clean_reason: str | None
    sent: int | None
    received: int | None
    processed: int | None
    finished_at: datetime | None


class MachineItem(Struct):
    """As `schemas.Machine`."""

    machine_id: str
    serial: str
    hostname: str
    model: str
    os_version: str
    os_build: str
    santa_version: str
    primary_user: str
    client_mode: str
    sync_state: str
    tags: list[str]
    monitor_until: datetime | None
    queued_clean: str | None
    last_preflight_at: datetime | None
    last_postflight_at: datetime | None
    last_clean_at: datetime | None
    enrolled_at: datetime
    rule_counts: RuleCountsItem
    last_sync: LastSyncItem | None


class MachineTagItem(Struct):
    """As `schemas.MachineTag`."""

    id: int
    name: str
    sources: list[str]
    joined_at: datetime


def machine_of(row: Row) -> MachineItem:
    """Make one of a row of the repository."""
    return MachineItem(
        machine_id=row["machine_id"],
        serial=row["serial"],
        hostname=row["hostname"],
        model=row["model"],
        os_version=row["os_version"],
        os_build=row["os_build"],
        santa_version=row["santa_version"],
        primary_user=row["primary_user"],
        client_mode=row["client_mode"],
        sync_state=row["sync_state"],
        tags=row["tags"],
        monitor_until=row["monitor_until"],
        queued_clean=row["queued_clean"],
        last_preflight_at=row["last_preflight_at"],
        last_postflight_at=row["last_postflight_at"],
        last_clean_at=row["last_clean_at"],
        enrolled_at=row["enrolled_at"],
        rule_counts=RuleCountsItem(
            binary=row["binary_rules"],
            certificate=row["certificate_rules"],
            teamid=row["teamid_rules"],
            signingid=row["signingid_rules"],
            cdhash=row["cdhash_rules"],
            compiler=row["compiler_rules"],
            transitive=row["transitive_rules"],
        ),
        last_sync=_last_sync(row),
    )


def _last_sync(row: Row) -> LastSyncItem | None:
    """Show the newest sync; one that had nothing to send has left no row of its own."""
    began, started_at = row["last_preflight_at"], row["started_at"]
    if started_at is None or (began is not None and started_at < began):
        if began is None:
            return None
        ended = row["last_postflight_at"]
        done = ended if ended is not None and ended >= began else None
        got = None if done is None else 0
        return LastSyncItem("normal", None, 0, got, got, done)
    return LastSyncItem(
        kind=row["kind"],
        clean_reason=row["clean_reason"],
        sent=row["pending_sent"] if row["session_id"] == row["pending_session"] else row["sent_count"],
        received=row["received_count"],
        processed=row["processed_count"],
        finished_at=row["finished_at"] if row["session_state"] in {"acked", "refused"} else None,
    )
