"""The protocol in protobuf: requests into the messages that `messages` has, JSON responses into binary ones.

Stages know one form, JSON's. What the two forms do not share is small: enums are numbers here, and
one that the client's newest release added has no name yet, so it stays a number.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from msgspec import Struct

from santaserver.errors import BadRequest
from santaserver.protocol import santa_v1_pb2 as pb
from santaserver.protocol.messages import (
    PostflightRequest,
    PreflightRequest,
    RuleDownloadRequest,
    inner_message,
)

MessageT = TypeVar("MessageT", bound=Struct)

MAX_REPEATED = 1000
"""Items of a repeated field that are read: as many groups as a user may be in."""

REQUESTS: dict[type[Struct], type[Message]] = {
    PreflightRequest: pb.PreflightRequest,
    RuleDownloadRequest: pb.RuleDownloadRequest,
    PostflightRequest: pb.PostflightRequest,
}
RESPONSES: dict[str, type[Message]] = {
    "preflight": pb.PreflightResponse,
    "eventupload": pb.EventUploadResponse,
    "ruledownload": pb.RuleDownloadResponse,
}
"""Answers by stage; the other stages' are empty."""


def parse(body: bytes, kind: type[Message]) -> Message:
    """Parse a binary message; fields that are not known here are skipped."""
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise BadRequest(f"The body is not a protobuf {kind.DESCRIPTOR.name}: {error}") from error


def read(body: bytes, kind: type[MessageT]) -> MessageT:
    """Turn a binary request into its message."""
    return to_struct(parse(body, REQUESTS[kind]), kind)


def to_struct(message: Message, kind: type[MessageT], most: int = MAX_REPEATED) -> MessageT:
    """Return what a protobuf message says as one of ours; NUL characters are dropped from strings.

    Of a repeated field the first `most` items are read.
    """
    readers = _readers(message.DESCRIPTOR, kind, most)
    values = {}
    for field, value in message.ListFields():
        reader = readers.get(field.number)
        if reader is not None:
            values[field.name] = reader(value)
    return kind(**values)


def encode_response(stage: str, body: bytes) -> bytes:
    """Turn a stage's JSON response into a binary one."""
    kind = RESPONSES.get(stage)
    if kind is None:
        return b""
    fields = msgspec.json.decode(body)
    try:
        return kind(**fields).SerializeToString()
    except ValueError:  # a field that has a JSON form only
        return json_format.ParseDict(fields, kind(), ignore_unknown_fields=True).SerializeToString()


@functools.cache
def _readers(descriptor: Any, kind: type[Struct], most: int) -> dict[int, Callable[[Any], Any]]:  # noqa: ANN401
    return {
        descriptor.fields_by_name[field.name].number: _reader(
            descriptor.fields_by_name[field.name], inner_message(field.type), most
        )
        for field in msgspec.structs.fields(kind)
        if field.name in descriptor.fields_by_name
    }


def _reader(field: Any, inner: type[Struct] | None, most: int) -> Callable[[Any], Any]:  # noqa: ANN401
    single: Callable[[Any], Any] | None = None
    if inner is not None:
        single = functools.partial(to_struct, kind=inner, most=most)
    elif field.type == FieldDescriptor.TYPE_ENUM:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        single = functools.partial(_word, names)
    elif field.type == FieldDescriptor.TYPE_STRING:
        single = _text
    elif field.type == FieldDescriptor.TYPE_BYTES:
        single = _any_text
    if field.is_repeated:
        return functools.partial(_each, single or _same, most)
    return single or _same


def _word(names: dict[int, str], number: int) -> str | int:
    return names.get(number, number)


def _text(text: str) -> str:
    return text.replace("\0", "") if "\0" in text else text


def _any_text(text: bytes) -> str:
    return _text(text.decode(errors="replace"))


def _each(single: Callable[[Any], Any], most: int, values: Any) -> list[Any]:  # noqa: ANN401
    return [single(value) for value in values[:most]]


def _same(value: Any) -> Any:  # noqa: ANN401
    return value
