"""Turns an upload into rows: usable events, what they say about programs, a key for repetitions. Pure.

No event has an id and every batch may arrive several times, so the key is made of what never
changes in a repetition. One unusable event must not hold up the others: a batch that is refused
would block the Mac's queue for ever.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from msgspec import Struct

from santaserver.errors import BadRequest
from santaserver.events.wire import BUNDLE_BINARY, Certificate, Execution, FileAccess
from santaserver.sync.wire import read

CLOCK_AHEAD = timedelta(days=1)
"""A Mac whose clock is further ahead gets the time of arrival instead."""

MAX_TEXT = 4096
MAX_NAME = 500

WireT = TypeVar("WireT", bound=Struct)
RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """An execution ready to be stored."""

    event: Execution
    sha256: str
    decision: str
    occurred_at: datetime
    key: bytes
    chain: tuple[Certificate, ...]

    @property
    def blocked(self) -> bool:
        """Whether Santa kept the program from running."""
        return self.decision.startswith("BLOCK")


@dataclass(frozen=True, slots=True)
class FileAccessRow:
    """A file access ready to be stored."""

    event: FileAccess
    decision: str
    occurred_at: datetime
    key: bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """A whole request."""

    executions: tuple[ExecutionRow, ...]
    bundle_binaries: tuple[ExecutionRow, ...]
    file_accesses: tuple[FileAccessRow, ...]
    unusable: int
    """Events without what is needed to store them."""
    unsupported: int
    """Events of kinds that a version 1 client does not send."""


UNSUPPORTED = ("audit_events", "network_mount_events", "usb_mount_events", "network_flow_events")


def parse_upload(raw: dict[str, Any], machine_id: str, now: datetime) -> Upload:
    """Read what can be read, count what cannot."""
    seen, bad = _each(raw, "events", Execution, lambda event: _execution(event, machine_id, now))
    accesses, bad_accesses = _each(
        raw, "file_access_events", FileAccess, lambda event: _file_access(event, machine_id, now)
    )
    return Upload(
        executions=tuple(row for row in seen if row.decision != BUNDLE_BINARY),
        bundle_binaries=tuple(row for row in seen if row.decision == BUNDLE_BINARY),
        file_accesses=tuple(accesses),
        unusable=bad + bad_accesses,
        unsupported=sum(len(raw.get(kind) or ()) for kind in UNSUPPORTED if isinstance(raw.get(kind), list)),
    )


def _each(
    raw: dict[str, Any], field: str, kind: type[WireT], make: Callable[[WireT], RowT | None]
) -> tuple[list[RowT], int]:
    items = raw.get(field) or raw.get("fileAccessEvents" if field == "file_access_events" else field) or []
    rows: list[RowT] = []
    unusable = 0
    for item in items if isinstance(items, list) else [items]:
        try:
            row = make(read(item, kind)) if isinstance(item, dict) else None
        except BadRequest:
            row = None
        if row is None:
            unusable += 1
        else:
            rows.append(row)
    return rows, unusable


def _execution(event: Execution, machine_id: str, now: datetime) -> ExecutionRow | None:
    sha256 = event.file_sha256.lower()[:MAX_NAME]
    if not sha256:
        return None
    decision = str(event.decision)[:MAX_NAME] or "DECISION_UNKNOWN"
    return ExecutionRow(
        event=event,
        sha256=sha256,
        decision=decision,
        occurred_at=moment(event.execution_time, now),
        key=_key(machine_id, sha256, repr(event.execution_time), decision, str(event.pid)),
        chain=tuple(cert for cert in map(_certificate, event.signing_chain) if cert.sha256),
    )


def _file_access(event: FileAccess, machine_id: str, now: datetime) -> FileAccessRow | None:
    if not event.rule_name and not event.target:
        return None
    decision = str(event.decision)[:MAX_NAME] or "FILE_ACCESS_DECISION_UNKNOWN"
    actor = event.process_chain[0] if event.process_chain else {}
    return FileAccessRow(
        event=event,
        decision=decision,
        occurred_at=moment(event.access_time, now),
        key=_key(
            machine_id,
            event.rule_version,
            event.rule_name,
            event.target,
            repr(event.access_time),
            decision,
            str(actor.get("pid")),
        ),
    )


def moment(seconds: float, now: datetime) -> datetime:
    """Return the time of an event; the time of arrival when the Mac's clock cannot be right."""
    if not 0 < seconds < (now + CLOCK_AHEAD).timestamp():
        return now
    return datetime.fromtimestamp(seconds, UTC)


def _certificate(raw: dict[str, Any]) -> Certificate:
    return read(raw, Certificate)


def _key(*parts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()


def entitlements(event: Execution) -> dict[str, Any] | None:
    """Return the entitlements by name, each as the JSON text that the client sent."""
    listed = event.entitlement_info.get("entitlements")
    if not isinstance(listed, list) or not listed:
        return None
    return {str(item.get("key", "")): item.get("value") for item in listed if isinstance(item, dict)}


def quarantine(event: Execution) -> dict[str, Any] | None:
    """Return where a downloaded file came from, when the Mac knows."""
    known = {
        "data_url": event.quarantine_data_url,
        "referer_url": event.quarantine_referer_url,
        "timestamp": event.quarantine_timestamp,
        "agent_bundle_id": event.quarantine_agent_bundle_id,
    }
    return {name: value for name, value in known.items() if value} or None


def unique_by(rows: Sequence[ExecutionRow], key: Callable[[ExecutionRow], str]) -> list[ExecutionRow]:
    """Return one row for each key, in the order of the keys, so that upserts lock in one order."""
    return [row for _, row in sorted({key(row): row for row in reversed(rows) if key(row)}.items())]
