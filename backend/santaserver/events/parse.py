"""Turns an upload into rows: usable events, and what they say about programs. Pure.

No event has an id and every batch may arrive several times, so an event is known by what never
changes in a repetition. One unusable event must not hold up the others: a batch that is refused
would block the Mac's queue for ever.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from santaserver.errors import BadRequest
from santaserver.events.wire import BUNDLE_BINARY, Audit, Certificate, Execution, FileAccess, UploadFrame
from santaserver.sync import protobuf
from santaserver.sync import santa_v1_pb2 as pb
from santaserver.sync.wire import parse_object, read

CLOCK_AHEAD = timedelta(days=1)
"""A Mac whose clock is further ahead gets the time of arrival instead."""

MAX_TEXT = 4096
MAX_NAME = 500
MAX_LIST = 64
"""Entries of a list that are kept: users, sessions, certificates, entitlements."""

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


@dataclass(frozen=True, slots=True)
class _Found:
    """Parsed messages of a request, None where one could not be read."""

    executions: Sequence[Execution | None]
    file_accesses: Sequence[FileAccess | None]
    audits: Sequence[Audit | None]
    unsupported: int = 0


_FRAME = msgspec.json.Decoder(UploadFrame)
_DECODERS: dict[type[Struct], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind, strict=False) for kind in (Execution, FileAccess, Audit)
}
_EMPTY: dict[type[Struct], Struct] = {kind: kind() for kind in _DECODERS}
_KINDS = tuple(UploadFrame.__struct_fields__)


def parse_upload(body: bytes, machine_id: str, now: datetime) -> Upload:
    """Read what can be read of a JSON body, count what cannot."""
    frame = _frame(body)
    others = frame.network_mount_events, frame.usb_mount_events, frame.network_flow_events
    found = _Found(
        [_message(item, Execution) for item in frame.events],
        [_message(item, FileAccess) for item in frame.file_access_events],
        [_message(item, Audit) for item in frame.audit_events],
        sum(map(len, others)),
    )
    return _rows(found, machine_id, now)


def parse_binary_upload(body: bytes, machine_id: str, now: datetime) -> Upload:
    """Read a protobuf body."""
    message = protobuf.parse(body, pb.EventUploadRequest)
    assert isinstance(message, pb.EventUploadRequest)  # noqa: S101 - it was asked for
    found = _Found(
        [protobuf.to_struct(event, Execution) for event in message.events],
        [protobuf.to_struct(event, FileAccess) for event in message.file_access_events],
        [protobuf.to_struct(event, Audit) for event in message.audit_events],
    )
    return _rows(found, machine_id, now)


def _frame(body: bytes) -> UploadFrame:
    """Split a body into its events; a body in an unusual spelling is written in the usual one first."""
    try:
        frame = _FRAME.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        frame = UploadFrame()
    if b"\\u0000" not in body and any(getattr(frame, kind) for kind in _KINDS):
        return frame
    raw = parse_object(body)
    usual = {}
    for kind in _KINDS:
        first, *others = kind.split("_")
        items = raw.get(kind) or raw.get(first + "".join(map(str.capitalize, others))) or []
        usual[kind] = items if isinstance(items, list) else [items]
    return _FRAME.decode(msgspec.json.encode(usual))


def _message(raw: Raw, kind: type[WireT]) -> WireT | None:
    """Read one event; what the client does not print that way takes the slower road."""
    try:
        message: WireT = _DECODERS[kind].decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        message = kind()
    if message != _EMPTY[kind]:
        return message
    try:
        return read(parse_object(bytes(raw)), kind)
    except BadRequest:
        return None


def _rows(found: _Found, machine_id: str, now: datetime) -> Upload:
    seen, bad = _usable(found.executions, lambda event: _execution(event, now))
    accesses, bad_accesses = _usable(found.file_accesses, lambda event: _file_access(event, machine_id, now))
    audits, other = _usable(found.audits, lambda event: _audit(event, machine_id, now))
    return Upload(
        executions=tuple(row for row in seen if row.decision != BUNDLE_BINARY),
        bundle_binaries=tuple(row for row in seen if row.decision == BUNDLE_BINARY),
        file_accesses=tuple(accesses),
        audits=tuple(audits),
        unusable=bad + bad_accesses,
        unsupported=found.unsupported + other,
    )


def _usable(messages: Sequence[WireT | None], make: Callable[[WireT], RowT | None]) -> tuple[list[RowT], int]:
    rows = [None if message is None else make(message) for message in messages]
    usable = [row for row in rows if row is not None]
    return usable, len(rows) - len(usable)


def _execution(event: Execution, now: datetime) -> ExecutionRow | None:
    sha256 = event.file_sha256.lower()[:MAX_NAME]
    if not sha256:
        return None
    event.signing_chain = [cert for cert in event.signing_chain[:MAX_LIST] if cert.sha256]
    at = moment(event.execution_time, now)
    return ExecutionRow(
        event=event,
        sha256=sha256,
        decision=_word(pb.Decision, event.decision) or "DECISION_UNKNOWN",
        occurred_at=at or now,
        timed=at is not None,
    )


def _file_access(event: FileAccess, machine_id: str, now: datetime) -> FileAccessRow | None:
    if not event.rule_name and not event.target:
        return None
    decision = _word(pb.FileAccessDecision, event.decision) or "FILE_ACCESS_DECISION_UNKNOWN"
    pid = event.process_chain[0].pid if event.process_chain else 0
    names = (event.rule_version, event.rule_name, event.target)
    return FileAccessRow(
        event=event,
        decision=decision,
        occurred_at=moment(event.access_time, now) or now,
        key=_key(machine_id, *names, repr(event.access_time), decision, str(pid)),
    )


def _audit(event: Audit, machine_id: str, now: datetime) -> AuditRow | None:
    created = event.standalone_mode_rule_creation
    if created is None:
        return None
    created.decision = _word(pb.Decision, created.decision)
    created.identifier = created.identifier[:MAX_TEXT]
    return AuditRow(
        kind=STANDALONE_RULE,
        detail=created,
        occurred_at=moment(created.timestamp, now) or now,
        key=_key(machine_id, STANDALONE_RULE, created.identifier, str(created.timestamp), created.decision),
    )


def moment(seconds: float, now: datetime) -> datetime | None:
    """Return the time of an event; None when the Mac's clock cannot be right."""
    if not 0 < seconds < (now + CLOCK_AHEAD).timestamp():
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _word(enum: Any, said: str | int) -> str:  # noqa: ANN401 - one of protobuf's enum types
    """Return the name of an enum's value, a number's digits when it has none here."""
    if isinstance(said, str):
        return said[:MAX_NAME]
    named = enum.DESCRIPTOR.values_by_number.get(said)
    return named.name if named else str(said)[:MAX_NAME]


def _key(*parts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()


def entitlements(event: Execution) -> dict[str, str] | None:
    """Return the entitlements by name, each as the JSON text that the client sent."""
    info = event.entitlement_info
    return (
        {item.key: item.value for item in info.entitlements[:MAX_LIST]}
        if info and info.entitlements
        else None
    )


def quarantine(event: Execution) -> dict[str, Any] | None:
    """Return where a downloaded file came from, when the Mac knows."""
    known = {
        "data_url": event.quarantine_data_url[:MAX_TEXT],
        "referer_url": event.quarantine_referer_url[:MAX_TEXT],
        "timestamp": event.quarantine_timestamp,
        "agent_bundle_id": event.quarantine_agent_bundle_id[:MAX_NAME],
    }
    return {name: value for name, value in known.items() if value} or None


def unique_by(rows: Sequence[ExecutionRow], key: Callable[[ExecutionRow], str]) -> list[ExecutionRow]:
    """Return one row for each key, in the order of the keys, so that upserts lock in one order."""
    return [row for _, row in sorted({key(row): row for row in reversed(rows) if key(row)}.items())]
