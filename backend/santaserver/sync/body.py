"""Reads a request body: size limits, content encodings, content type. Knows no stage."""

import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import Enum

from starlette.types import Receive

from santaserver.errors import BadRequest, TooLarge, UnsupportedMedia
from santaserver.sync.overload import Budget

MAX_BODY = 8 * 1024 * 1024
"""Bytes on the wire; a batch of 50 of the largest possible events is about 1.5 MB without compression."""
MAX_PLAIN = 16 * 1024 * 1024
"""Bytes after decompression."""

ZLIB = {"deflate", "zlib"}
"""What the client calls deflate is a zlib container; releases before 1.17 said zlib."""
PLAIN = {"", "identity", "none"}


class Form(Enum):
    """How messages are written; answers come in the form of the request."""

    JSON = "application/json"
    PROTOBUF = "application/x-protobuf"


def form_of(fields: Mapping[str, str]) -> Form:
    """Return the form of a request; the doctor's probe names none."""
    named = fields.get("content-type", "").partition(";")[0].strip().lower()
    return Form.PROTOBUF if named in {Form.PROTOBUF.value, "application/protobuf"} else Form.JSON


@asynccontextmanager
async def received(receive: Receive, budget: Budget) -> AsyncIterator[bytes]:
    """Yield the body as it came, counted against the budget for as long as it is used."""
    chunks: list[bytes] = []
    size = 0
    more = True
    try:
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("The connection ended inside the body")
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            budget.take(len(chunk))
            size += len(chunk)
            if size > MAX_BODY:
                raise TooLarge(f"The body is larger than {MAX_BODY} bytes")
            chunks.append(chunk)
        yield b"".join(chunks)
    finally:
        budget.give_back(size)


def decompress(body: bytes, encoding: str) -> bytes:
    """Undo the content encoding without ever holding more than `MAX_PLAIN` bytes."""
    name = encoding.strip().lower()
    if name in PLAIN or not body:
        return body
    if name in ZLIB:
        window = zlib.MAX_WBITS if body[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS
    elif name in {"gzip", "x-gzip"}:
        window = zlib.MAX_WBITS | 16
    else:
        raise UnsupportedMedia(f"The content encoding {name!r} is not read here: use deflate, gzip or none")
    inflater = zlib.decompressobj(window)
    try:
        plain = inflater.decompress(body, MAX_PLAIN)
    except zlib.error as error:
        raise BadRequest(f"The body is not {name}: {error}") from error
    if inflater.unconsumed_tail:
        raise TooLarge(f"The body is larger than {MAX_PLAIN} bytes after decompression")
    if not inflater.eof:
        raise BadRequest(f"The {name} body ends too early")
    return plain
