"""Reads a request body: size limits, content encodings, content type. Knows no stage."""

import zlib

from starlette.requests import ClientDisconnect, Request

from santaserver.errors import BadRequest, TooLarge, UnsupportedMedia

MAX_BODY = 16 * 1024 * 1024
"""Bytes on the wire; a batch of the largest possible events is about 1.5 MB."""
MAX_PLAIN = 32 * 1024 * 1024
"""Bytes after decompression."""

PROTOBUF = "application/x-protobuf"
ZLIB = {"deflate", "zlib"}
"""What the client calls deflate is a zlib container; releases before 1.17 said zlib."""
PLAIN = {"", "identity", "none"}


async def read_body(request: Request) -> bytes:
    """Return the decompressed body; raise the problem that says what is wrong with it."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == PROTOBUF:
        raise UnsupportedMedia("Protobuf bodies are not read yet: leave SyncEnableProtoTransfer off")
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BODY:
                raise TooLarge(f"The body is larger than {MAX_BODY} bytes")
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise BadRequest("The connection ended inside the body") from error
    return decompress(b"".join(chunks), request.headers.get("content-encoding", ""))


def decompress(body: bytes, encoding: str) -> bytes:
    """Undo the content encoding without ever holding more than `MAX_PLAIN` bytes."""
    name = encoding.strip().lower()
    if name in PLAIN or not body:
        return body
    if name in ZLIB:
        window = zlib.MAX_WBITS if body[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS
    elif name == "gzip":
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
