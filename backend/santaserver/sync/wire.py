"""What Macs send and get, field for field as the client's protobuf definitions name it.

The client prints proto3 JSON: fields at their default are absent, most names are snake_case, a few
camelCase. Both spellings of every field are read, unknown fields are ignored, null means absent.
"""

import functools
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from santaserver.errors import BadRequest

UInt32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]

JSON_NAMES = {"serial_num": "serial_number"}
"""JSON names that are neither the proto name nor its camelCase."""

MessageT = TypeVar("MessageT", bound=Struct)


class PreflightRequest(Struct, kw_only=True):
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


class PostflightRequest(Struct, kw_only=True):
    """The last stage: what the Mac did with the rules."""

    rules_received: UInt32 = 0
    rules_processed: UInt32 = 0
    sync_type: str | int = ""
    rules_hash: str = ""


class RuleAnswer(Struct, kw_only=True, omit_defaults=True):
    """One rule for a Mac; empty fields are left out."""

    identifier: str
    policy: str
    rule_type: str
    custom_msg: str = ""
    custom_url: str = ""
    cel_expr: str = ""


class RuleDownloadAnswer(Struct, kw_only=True, omit_defaults=True):
    """A page of rules, each already written as a `RuleAnswer`; a cursor means that there are more."""

    rules: list[msgspec.Raw]
    cursor: str = ""


class EventUploadAnswer(Struct, kw_only=True, omit_defaults=True):
    """Bundles whose programs the server wants to see."""

    event_upload_bundle_binaries: list[str] = []


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object; NUL characters, which PostgreSQL cannot store, are dropped from strings."""
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from error
    if not isinstance(raw, dict):
        raise BadRequest("The body is not a JSON object")
    return _without_nul(raw) if b"\\u0000" in body else raw


def read(raw: Mapping[str, Any], kind: type[MessageT]) -> MessageT:
    """Turn a parsed object into a message, accepting every spelling of its fields."""
    names = _spellings(kind)
    try:
        return msgspec.convert(
            {names[key]: value for key, value in raw.items() if value is not None and key in names},
            kind,
            strict=False,
        )
    except msgspec.ValidationError as error:
        raise BadRequest(f"The body does not fit the protocol: {error}") from error


@functools.cache
def _spellings(kind: type[Struct]) -> dict[str, str]:
    fields = [field.name for field in msgspec.structs.fields(kind)]
    names = {camel_case(name): name for name in fields} | {name: name for name in fields}
    return names | {json: proto for json, proto in JSON_NAMES.items() if proto in names}


def camel_case(name: str) -> str:
    """Spell a proto field name as protobuf's JSON mapping does by default."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _without_nul(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {key.replace("\0", ""): _without_nul(item) for key, item in value.items()}
    return value
