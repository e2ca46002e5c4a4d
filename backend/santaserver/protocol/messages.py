"""What Macs send and get, field for field as the client's protobuf definitions name it.

The client prints proto3 JSON: fields at their default are absent, most names are snake_case, a few
camelCase. Both spellings of every field are read, unknown fields are ignored, null means absent.
The same messages as protobuf: santa_v1.proto, read by protobuf.py.
"""

import functools
import logging
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct

from santaserver.errors import BadRequest
from santaserver.protocol.json_text import MAX_OBJECTS, check_values, has_nul, repaired

log = logging.getLogger(__name__)

UInt32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]

MessageT = TypeVar("MessageT", bound=Struct)


class PreflightRequest(
    Struct,
    kw_only=True,
    rename={"serial_number": "serial_num", "sip_status": "sipStatus", "rules_hash": "rulesHash"},
):
    """The first stage: what the Mac is and what its rule table looks like."""

    serial_number: str = ""
    hostname: str = ""
    os_version: str = ""
    os_build: str = ""
    model_identifier: str = ""
    santa_version: str = ""
    primary_user: str = ""
    primary_user_groups: list[str] = []
    client_mode: str | int = ""
    request_clean_sync: bool = False
    binary_rule_count: UInt32 = 0
    certificate_rule_count: UInt32 = 0
    compiler_rule_count: UInt32 = 0
    transitive_rule_count: UInt32 = 0
    teamid_rule_count: UInt32 = 0
    signingid_rule_count: UInt32 = 0
    cdhash_rule_count: UInt32 = 0
    sip_status: UInt32 = 0
    rules_hash: str = ""


class RuleDownloadRequest(Struct, kw_only=True):
    """A request for a page of rules; without a cursor, for the first one."""

    cursor: str = ""


class PostflightRequest(Struct, kw_only=True, rename={"sync_type": "syncType", "rules_hash": "rulesHash"}):
    """The last stage: what the Mac did with the rules."""

    rules_received: UInt32 = 0
    rules_processed: UInt32 = 0
    sync_type: str | int = ""
    rules_hash: str = ""


class RuleMessage(Struct, kw_only=True, omit_defaults=True):
    """One rule for a Mac; empty fields are left out."""

    identifier: str
    policy: str
    rule_type: str
    custom_msg: str = ""
    custom_url: str = ""
    cel_expr: str = ""


class EventUploadResponse(Struct, kw_only=True, omit_defaults=True):
    """Bundles whose programs the server wants to see."""

    event_upload_bundle_binaries: list[str] = []


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object; characters that cannot be stored are repaired."""
    check_values(body, MAX_OBJECTS)
    try:
        raw = msgspec.json.decode(repaired(body) if has_nul(body) else body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raw = _parse_repaired(body)
    if not isinstance(raw, dict):
        raise BadRequest("The body is not a JSON object")
    return raw


def _parse_repaired(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return msgspec.json.decode(repaired(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from error


def read(raw: Mapping[str, Any], kind: type[MessageT]) -> MessageT:
    """Turn a parsed object into a message, accepting every spelling of its fields."""
    try:
        return msgspec.convert(_respelled(raw, kind), kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The body does not match the protocol: {error}") from error


def read_leniently(raw: Mapping[str, Any], kind: type[MessageT]) -> MessageT:
    """Turn a parsed object into a message; a field that does not fit counts as absent.

    A Mac sends the same at every sync: if it were refused for one field, it could never sync again.
    """
    known = _respelled(raw, kind)
    try:
        return msgspec.convert(known, kind, strict=False)
    except msgspec.ValidationError:
        fitting = {name: value for name, value in known.items() if _fits({name: value}, kind)}
        log.warning("ignored fields that do not match the protocol: %s", sorted(known.keys() - fitting))
        return msgspec.convert(fitting, kind, strict=False)


def _fits(value: dict[str, Any], kind: type[Struct]) -> bool:
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def inner_message(declared: Any) -> type[Struct] | None:  # noqa: ANN401 - a type annotation
    """Return the message type in a field's annotation: the type itself, or that of a list's items."""
    for part in (declared, *get_args(declared)):
        if isinstance(part, type) and issubclass(part, Struct):
            return part
    return None


def _respelled(raw: Mapping[str, Any], kind: type[Struct]) -> dict[str, Any]:
    names = _spellings(kind)
    known: dict[str, Any] = {}
    for key, value in raw.items():
        if value is None or key not in names:
            continue
        name, inner = names[key]
        known[name] = value if inner is None else _respelled_inside(value, inner)
    return known


def _respelled_inside(value: Any, kind: type[Struct]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return [_respelled_inside(item, kind) for item in value]
    return _respelled(value, kind) if isinstance(value, dict) else value


@functools.cache
def _spellings(kind: type[Struct]) -> dict[str, tuple[str, type[Struct] | None]]:
    """Map each spelling of a field to the printed one and the message type inside."""
    names: dict[str, tuple[str, type[Struct] | None]] = {}
    for field in msgspec.structs.fields(kind):
        target = (field.encode_name, inner_message(field.type))
        names |= dict.fromkeys((field.name, camel_case(field.name), field.encode_name), target)
    return names


def camel_case(name: str) -> str:
    """Spell a proto field name as protobuf's JSON mapping does by default."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
