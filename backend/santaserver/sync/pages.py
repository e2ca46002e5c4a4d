"""Encoded pages of rules. Pure; the part of a page that all Macs share is encoded and compressed once.

A page ends with a different cursor for each session. So the part before it is cached, in a compressed form
that can be continued: the cursor follows in a last, stored block (RFC 1951, section 3.2.4; the stream around
it is RFC 1952's).
"""

import struct
import zlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import msgspec

from santaserver.protocol import protobuf
from santaserver.protocol.body import Form

LEVEL = 1
"""A page of 500 rules: half a millisecond for a quarter of its size."""
WORTH_COMPRESSING = 1400
"""Bytes; what fits into one packet is sent as it is."""
GZIP_HEAD = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
LAST_AND_STORED = b"\x01"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an open sync."""

    content: Hashable
    """What decides the rules on it."""
    rules: Sequence[bytes]
    """Each written as a `RuleMessage`."""
    cursor: str
    """Empty on the last page."""


@dataclass(frozen=True, slots=True)
class SharedPart:
    """A page up to its cursor, in one form and coding."""

    sent: bytes
    """As it is sent; of a gzip stream, all but its end."""
    packed: bool
    size: int
    """Bytes before compression."""
    checksum: int


def shared_part(page: Page, form: Form, *, pack: bool) -> SharedPart:
    """Write what all Macs that are sent these rules share."""
    text = b'{"rules":[' + b",".join(page.rules) + b"]"
    if form is Form.PROTOBUF:
        text = protobuf.encode_response("ruledownload", text + b"}")
    if not pack or len(text) <= WORTH_COMPRESSING:
        return SharedPart(text, packed=False, size=len(text), checksum=0)
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    sent = GZIP_HEAD + packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)
    return SharedPart(sent, packed=True, size=len(text), checksum=zlib.crc32(text))


def whole_page(shared: SharedPart, page: Page, form: Form) -> bytes:
    """Put a page's cursor behind its shared part."""
    own = _cursor(page, form)
    if not shared.packed:
        return shared.sent + own
    lengths = struct.pack("<HH", len(own), len(own) ^ 0xFFFF)
    end = struct.pack("<II", zlib.crc32(own, shared.checksum), (shared.size + len(own)) & 0xFFFFFFFF)
    return b"".join((shared.sent, LAST_AND_STORED, lengths, own, end))


def _cursor(page: Page, form: Form) -> bytes:
    if form is Form.PROTOBUF:
        return protobuf.encode_response("ruledownload", msgspec.json.encode({"cursor": page.cursor}))
    return b',"cursor":' + msgspec.json.encode(page.cursor) + b"}" if page.cursor else b"}"
