"""Unwraps signed files: a walk over the BER of a CMS message to its content. The signature is not checked."""

from collections.abc import Iterator
from dataclasses import dataclass

from santaserver.importers.model import Unreadable

MAX_LEVELS = 32
SIGNED = bytes.fromhex("2a864886f70d010702")
ENVELOPED = bytes.fromhex("2a864886f70d010703")
SEQUENCE = 0x30
CONSTRUCTED = 0x20
LONG_TAG = 0x1F
INDEFINITE = 0x80
MAX_LENGTH_BYTES = 8


class _NotBerError(Exception):
    """The bytes are no BER."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A tag and where its content is; `end` is behind it and behind its end mark."""

    tag: int
    start: int
    stop: int
    end: int


def is_cms(data: bytes) -> bool:
    """Tell whether data begins like a message; a text that begins with `0` has no such second byte."""
    return data[:1] == b"\x30" and data[1:2] >= b"\x80"


def content_of(data: bytes) -> bytes:
    """Return what was signed; raise `Unreadable` when there is nothing that can be read."""
    try:
        message = _children(data, _item(data, 0, 0), 1)
        name, explicit = next(message), next(message)
        kind = data[name.start : name.stop]
        if kind == ENVELOPED:
            raise Unreadable("syntax", "The profile is encrypted for its Macs; import the original")
        if kind != SIGNED:
            raise Unreadable("syntax", "Not a signed file, but another message")
        signed = next(_children(data, explicit, 2))
        inner = next(one for one in _children(data, signed, 3) if one.tag == SEQUENCE)
        wrapped = _children(data, inner, 4)
        next(wrapped)
        content = next(wrapped, None)
        if content is None:
            raise Unreadable("syntax", "The signature is detached from its content; import the original")
        return b"".join(_octets(data, content, 5))
    except (_NotBerError, StopIteration) as error:
        raise Unreadable("syntax", "Not a valid signed file") from error


def _item(data: bytes, at: int, depth: int) -> _Item:
    if depth > MAX_LEVELS or at + 2 > len(data) or data[at] & LONG_TAG == LONG_TAG:
        raise _NotBerError
    tag, length, start = data[at], data[at + 1], at + 2
    if length == INDEFINITE and tag & CONSTRUCTED:
        return _Item(tag, start, *_end_mark(data, start, depth))
    if length >= INDEFINITE:
        size = length - INDEFINITE
        if not 0 < size <= MAX_LENGTH_BYTES or start + size > len(data):
            raise _NotBerError
        length, start = int.from_bytes(data[start : start + size]), start + size
    if start + length > len(data):
        raise _NotBerError
    return _Item(tag, start, start + length, start + length)


def _end_mark(data: bytes, at: int, depth: int) -> tuple[int, int]:
    """Return where the end mark of an item without a length is, and what is behind it."""
    while data[at : at + 2] != b"\0\0":
        at = _item(data, at, depth + 1).end
    return at, at + 2


def _children(data: bytes, item: _Item, depth: int) -> Iterator[_Item]:
    if not item.tag & CONSTRUCTED:
        raise _NotBerError
    at = item.start
    while at < item.stop:
        child = _item(data, at, depth)
        yield child
        at = child.end


def _octets(data: bytes, item: _Item, depth: int) -> Iterator[bytes]:
    """Yield the parts of a text of bytes, which may be nested."""
    if not item.tag & CONSTRUCTED:
        yield data[item.start : item.stop]
        return
    for child in _children(data, item, depth + 1):
        yield from _octets(data, child, depth + 1)
