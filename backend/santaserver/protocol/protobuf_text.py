"""Untrusted protobuf: walked field by field, so that only the needed fields become objects. Pure.

The library makes some hundred bytes of each empty message, which takes two in the body. And it
refuses a whole message for one string that is no UTF-8.
"""

import functools
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from santaserver.errors import BadRequest, TooLarge

MAX_TOP_FIELDS = 20_000
"""Fields of a body itself."""
MAX_INNER_FIELDS = 200_000
"""Fields inside of all the large messages of a body together."""
LARGE = 16 * 1024
"""Bytes; a smaller message is read without counting first."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


class Allowance:
    """How many fields may still be walked."""

    def __init__(self, fields: int) -> None:
        """Allow so many."""
        self.left = fields

    def permits(self, message: bytes, kind: Any) -> bool:  # noqa: ANN401 - protobuf's Descriptor
        """Tell whether a message may be read; a large one is walked for that."""
        if len(message) <= LARGE:
            return True
        try:
            self._walk(message, kind)
        except (ValueError, RecursionError):
            return False
        return True

    def _walk(self, message: bytes, kind: Any) -> None:  # noqa: ANN401 - protobuf's Descriptor
        for number, content in fields(message):
            self.left -= 1
            if self.left < 0:
                raise ValueError("too many fields")
            field = kind.fields_by_number.get(number)
            if content is not None and field is not None and field.type == FieldDescriptor.TYPE_MESSAGE:
                self._walk(content, field.message_type)


def fields(message: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Yield a message's fields: number, and content of those that have a length."""
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        wire = tag & 7
        if wire == LENGTH:
            length, place = _varint(message, place)
            if length > end - place:
                raise ValueError("a field extends past the end of the body")
            yield tag >> 3, message[place : place + length]
            place += length
            continue
        if wire == VARINT:
            _, place = _varint(message, place)
        elif wire in {FIXED32, FIXED64}:
            place += 8 if wire == FIXED64 else 4
        else:
            raise ValueError("unknown wire type")
        if place > end:
            raise ValueError("a field extends past the end of the body")
        yield tag >> 3, None


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:  # noqa: PLR2004 - ten bytes hold any 64 bits
        if place >= len(message):
            raise ValueError("the body ends within a number")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return value, place
        shift += 7
    raise ValueError("a number has more than 64 bits")


def split(body: bytes, numbers: frozenset[int], most: int) -> dict[int, list[bytes]]:
    """Return the messages in some repeated fields of a body, unread; raise `TooLarge` for too many."""
    found: dict[int, list[bytes]] = {number: [] for number in numbers}
    count = 0
    try:
        for seen, (number, content) in enumerate(fields(body)):
            if number in numbers and content is not None:
                count += 1
                found[number].append(content)
            if count > most or seen > MAX_TOP_FIELDS:
                raise TooLarge(f"The body holds more than {most} events: lower batch_size in the settings")
    except ValueError as error:
        raise BadRequest(f"The body is not a protobuf message: {error}") from error
    return found


def parse_leniently(message: bytes, kind: type[Message]) -> Message | None:
    """Parse a message whose strings may be any bytes; None when it is no message at all."""
    try:
        return kind.FromString(message)
    except DecodeError:
        pass
    try:
        return _twin(kind.DESCRIPTOR).FromString(message)
    except DecodeError:
        return None


@functools.cache
def _twin(kind: Any) -> type[Message]:  # noqa: ANN401 - protobuf's Descriptor
    """Return the same message with `bytes` for `string`, which look the same on the wire."""
    proto = FileDescriptorProto()
    kind.file.CopyToProto(proto)
    for message in proto.message_type:
        for field in message.field:
            if field.type == FieldDescriptorProto.TYPE_STRING:
                field.type = FieldDescriptorProto.TYPE_BYTES
    pool = DescriptorPool()
    pool.Add(proto)
    return GetMessageClass(pool.FindMessageTypeByName(kind.full_name))
