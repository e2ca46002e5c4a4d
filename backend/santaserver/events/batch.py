"""Splits an upload into its events, JSON or protobuf; each event is parsed separately. Pure.

Only a body that is not JSON or protobuf is refused. A Mac would repeat a refused batch forever, so an
unreadable event is counted and does not block the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from santaserver.errors import BadRequest, TooLarge
from santaserver.events.plausible import MAX_ITEMS
from santaserver.events.wire import Audit, Execution, FileAccess
from santaserver.protocol import protobuf, protobuf_text
from santaserver.protocol import santa_v1_pb2 as pb
from santaserver.protocol.json_text import MAX_VALUES, check_values, has_nul, repaired, values
from santaserver.protocol.messages import camel_case, parse_object, read

MAX_EVENTS = 2000
"""Events of a request; agents send as many as `batch_size` says."""
MAX_EVENT = 4 * 1024 * 1024
"""Bytes of an event that is still read and clipped."""
MAX_EVENT_VALUES = 100_000
"""Values in such an event: a megabyte of entitlements has some 80,000."""
QUICK = 128 * 1024
"""Bytes of a body that is read in one pass if everything in it is as it should be: some 80 events."""

STORED = ("events", "file_access_events", "audit_events")
OTHERS = ("network_mount_events", "usb_mount_events", "network_flow_events")
"""Kinds that a version 1 client does not send; they are counted."""
KINDS = STORED + OTHERS

WireT = TypeVar("WireT", bound=Struct)


@dataclass(frozen=True, slots=True)
class Batch:
    """The messages of a request, None where one could not be read."""

    executions: Sequence[Execution | None]
    file_accesses: Sequence[FileAccess | None]
    audits: Sequence[Audit | None]
    unsupported: int = 0


_SPELLINGS = tuple(dict.fromkeys((*KINDS, *map(camel_case, KINDS))))
_FRAME = msgspec.json.Decoder(msgspec.defstruct("Frame", [(name, list[Raw], []) for name in _SPELLINGS]))
_LOOSE = msgspec.json.Decoder(
    msgspec.defstruct("LooseFrame", [(name, Raw, Raw(b"null")) for name in _SPELLINGS])
)
_TYPES: dict[str, type[Struct]] = dict(zip(STORED, (Execution, FileAccess, Audit), strict=True))
_TYPED = msgspec.json.Decoder(
    msgspec.defstruct("TypedFrame", [(name, list[_TYPES.get(name, Raw)], []) for name in _SPELLINGS]),  # type: ignore[misc]
    strict=False,
)
_LIST = msgspec.json.Decoder(list[Raw])
_DECODERS: dict[type[Struct], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind, strict=False) for kind in _TYPES.values()
}
_EMPTY: dict[type[Struct], Struct] = {kind: kind() for kind in _DECODERS}

_BINARY: dict[str, tuple[int, Any]] = {
    name: (pb.EventUploadRequest.DESCRIPTOR.fields_by_name[name].number, message)
    for name, message in zip(STORED, (pb.Event, pb.FileAccessEvent, pb.AuditEvent), strict=True)
}
_NUMBERS = frozenset(number for number, _ in _BINARY.values())


def read_json(body: bytes) -> Batch:
    """Read a JSON body."""
    suspect = has_nul(body)
    quick = None if suspect or len(body) > QUICK else _as_printed(body)
    if quick is not None:
        return quick
    check_values(body, MAX_VALUES)
    items = _items(body)
    _check_count(sum(map(len, items.values())))
    return Batch(
        [_event(item, Execution, suspect) for item in items["events"]],
        [_event(item, FileAccess, suspect) for item in items["file_access_events"]],
        [_event(item, Audit, suspect) for item in items["audit_events"]],
        sum(len(items[kind]) for kind in OTHERS),
    )


def _as_printed(body: bytes) -> Batch | None:
    """Read a body in one pass; None for a body with anything unusual."""
    try:
        frame = _TYPED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    lists = {name: getattr(frame, name) for name in _SPELLINGS}
    _check_count(sum(map(len, lists.values())))
    respelled = any(found for name, found in lists.items() if name not in KINDS)
    if respelled or any(_EMPTY[kind] in lists[name] for name, kind in _TYPES.items()):
        return None
    executions, file_accesses, audits = (lists[name] for name in STORED)
    return Batch(executions, file_accesses, audits, sum(len(lists[name]) for name in OTHERS))


def _check_count(count: int) -> None:
    if count > MAX_EVENTS:
        raise TooLarge(f"The body holds {count} events: lower batch_size in the settings to {MAX_EVENTS}")


def read_binary(body: bytes) -> Batch:
    """Read a protobuf body."""
    found = protobuf_text.split(body, _NUMBERS, MAX_EVENTS)
    allowance = protobuf_text.Allowance(protobuf_text.MAX_INNER_FIELDS)

    def of(name: str, kind: type[WireT]) -> list[WireT | None]:
        number, message = _BINARY[name]
        return [_binary_event(item, message, kind, allowance) for item in found[number]]

    return Batch(of("events", Execution), of("file_access_events", FileAccess), of("audit_events", Audit))


def _items(body: bytes) -> dict[str, list[Raw]]:
    """Return the unread events of each kind, whichever way its name is spelled."""
    try:
        frame = _FRAME.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        frame = _loose(repaired(body))
    except RecursionError as error:
        raise TooLarge("The body is nested too deeply") from error
    return {kind: _list(frame, kind) or _list(frame, camel_case(kind)) for kind in KINDS}


def _loose(body: bytes) -> Struct:
    try:
        frame: Struct = _LOOSE.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest("The body is not a JSON object") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise TooLarge("The body is nested too deeply") from error
    return frame


def _list(frame: Struct, name: str) -> list[Raw]:
    found = getattr(frame, name)
    if isinstance(found, list):
        return found
    if bytes(found) == b"null":
        return []
    try:
        items: list[Raw] = _LIST.decode(found)
    except msgspec.ValidationError:
        return [found]
    return items


def _event(raw: Raw, kind: type[WireT], suspect: bool) -> WireT | None:
    """Read one event; an unusual form takes the slower path."""
    size = memoryview(raw).nbytes
    if size > MAX_EVENT or (size > MAX_EVENT_VALUES and values(bytes(raw)) > MAX_EVENT_VALUES):
        return None
    if not (suspect and has_nul(bytes(raw))):
        try:
            message: WireT = _DECODERS[kind].decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            message = kind()
        if message != _EMPTY[kind]:
            return message
    try:
        return read(parse_object(repaired(bytes(raw))), kind)
    except (BadRequest, TooLarge):
        return None


def _binary_event(
    body: bytes,
    message: Any,  # noqa: ANN401 - one of protobuf's message types
    kind: type[WireT],
    allowance: protobuf_text.Allowance,
) -> WireT | None:
    if len(body) > MAX_EVENT or not allowance.permits(body, message.DESCRIPTOR):
        return None
    parsed = protobuf_text.parse_leniently(body, message)
    return None if parsed is None else protobuf.to_struct(parsed, kind, MAX_ITEMS)
