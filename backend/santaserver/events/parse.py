"""Turns an upload into rows: valid events, and their claims about programs. Pure.

No event has an id and every batch may arrive several times, so an event is known by what never changes in a
repetition. One invalid event must not block the others: a refused batch would block the Mac's queue forever.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct

from santaserver.events.batch import Batch, read_binary, read_json
from santaserver.events.oddities import Oddity, count
from santaserver.events.plausible import (
    MAX_CHAIN,
    MAX_ITEMS,
    MAX_TEXT,
    SHA256,
    Words,
    latest,
    moment,
    processes,
)
from santaserver.events.wire import BUNDLE_BINARY, Audit, Certificate, Execution, FileAccess
from santaserver.protocol import santa_v1_pb2 as pb

DECISIONS = Words(pb.Decision, "DECISION_UNKNOWN")
ACCESS_DECISIONS = Words(pb.FileAccessDecision, "FILE_ACCESS_DECISION_UNKNOWN")
STANDALONE_RULE = "standalone_mode_rule_creation"

WireT = TypeVar("WireT", bound=Struct)
RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """An execution ready to be stored."""

    event: Execution
    sha256: str
    decision: str
    occurred_at: datetime
    timed: bool
    """Whether the time is the Mac's; else it is the arrival's, and differs in a repetition."""

    @property
    def leaf(self) -> Certificate | None:
        """The certificate that signed the program."""
        return self.event.signing_chain[0] if self.event.signing_chain else None


@dataclass(frozen=True, slots=True)
class FileAccessRow:
    """A file access ready to be stored."""

    event: FileAccess
    decision: str
    occurred_at: datetime
    key: bytes


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Something the agent did, ready to be stored."""

    kind: str
    detail: Struct
    occurred_at: datetime
    key: bytes


@dataclass(frozen=True, slots=True)
class Arrival:
    """The upload's machine and time, and the latest plausible event time in epoch seconds."""

    machine_id: str
    now: datetime
    last: float


@dataclass(frozen=True, slots=True)
class Upload:
    """A whole request."""

    executions: tuple[ExecutionRow, ...] = ()
    bundle_binaries: tuple[ExecutionRow, ...] = ()
    file_accesses: tuple[FileAccessRow, ...] = ()
    audits: tuple[AuditRow, ...] = ()
    unusable: int = 0
    """Events without what is needed to store them."""
    unsupported: int = 0
    """Events of kinds that a version 1 client does not send."""


def parse_upload(body: bytes, machine_id: str, now: datetime) -> Upload:
    """Read the valid events of a JSON body, and count the others."""
    return _rows(read_json(body), machine_id, now)


def parse_binary_upload(body: bytes, machine_id: str, now: datetime) -> Upload:
    """Read a protobuf body."""
    return _rows(read_binary(body), machine_id, now)


def _rows(found: Batch, machine_id: str, now: datetime) -> Upload:
    arrival = Arrival(machine_id, now, latest(now))
    seen, bad = _usable(found.executions, arrival, _execution)
    accesses, bad_accesses = _usable(found.file_accesses, arrival, _file_access)
    audits, other = _usable(found.audits, arrival, _audit)
    return Upload(
        executions=tuple(row for row in seen if row.decision != BUNDLE_BINARY),
        bundle_binaries=tuple(row for row in seen if row.decision == BUNDLE_BINARY),
        file_accesses=tuple(accesses),
        audits=tuple(audits),
        unusable=bad + bad_accesses,
        unsupported=found.unsupported + other,
    )


def _usable(
    messages: Sequence[WireT | None], arrival: Arrival, make: Callable[[WireT, Arrival], RowT | None]
) -> tuple[list[RowT], int]:
    rows = [None if message is None else make(message, arrival) for message in messages]
    usable = [row for row in rows if row is not None]
    return usable, len(rows) - len(usable)


def _execution(event: Execution, arrival: Arrival) -> ExecutionRow | None:
    sha256 = event.file_sha256.lower()
    if not SHA256(sha256):
        return None
    if event.file_bundle_hash and not SHA256(event.file_bundle_hash):
        event.file_bundle_hash = ""
        count(Oddity.IDENTIFIER_MALFORMED)
    _clip(event.signing_chain, MAX_CHAIN)
    if event.entitlement_info:
        _clip(event.entitlement_info.entitlements, MAX_ITEMS)
    at = moment(event.execution_time, arrival.last)
    return ExecutionRow(
        event=event,
        sha256=sha256,
        decision=DECISIONS.word(event.decision),
        occurred_at=at or arrival.now,
        timed=at is not None,
    )


def _clip(items: list[Any], number: int) -> None:
    if len(items) > number:
        count(Oddity.LIST_CLIPPED)
        del items[number:]


def _file_access(event: FileAccess, arrival: Arrival) -> FileAccessRow | None:
    if not event.rule_name and not event.target:
        return None
    decision = ACCESS_DECISIONS.word(event.decision)
    event.process_chain = processes(event)
    pid = event.process_chain[0].pid if event.process_chain else 0
    names = (event.rule_version, event.rule_name, event.target)
    return FileAccessRow(
        event=event,
        decision=decision,
        occurred_at=moment(event.access_time, arrival.last) or arrival.now,
        key=_key(arrival.machine_id, *names, repr(event.access_time), decision, str(pid)),
    )


def _audit(event: Audit, arrival: Arrival) -> AuditRow | None:
    created = event.standalone_mode_rule_creation
    if created is None:
        return None
    created.decision = DECISIONS.word(created.decision)
    created.identifier = created.identifier[:MAX_TEXT]
    return AuditRow(
        kind=STANDALONE_RULE,
        detail=created,
        occurred_at=moment(created.timestamp, arrival.last) or arrival.now,
        key=_key(
            arrival.machine_id, STANDALONE_RULE, created.identifier, str(created.timestamp), created.decision
        ),
    )


def _key(*parts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()


def unique_by(rows: Sequence[ExecutionRow], key: Callable[[ExecutionRow], str]) -> list[ExecutionRow]:
    """Return one row for each key, in the order of the keys, so that upserts lock in one order."""
    return [row for _, row in sorted({key(row): row for row in reversed(rows) if key(row)}.items())]
