"""Speaks HTTP/1.1 byte by byte (RFC 9112), so that a connection can end after any of them."""

import asyncio
import socket

from tests.model.wire import Answer, Breaks, BrokenError, Cut, Request, unpacked

TIMEOUT = 60.0
"""Seconds for one exchange; a server that takes longer is broken."""
PIECE = 64 * 1024
USUAL_ANSWER = 400
"""Assumed bytes of a response before the first one."""
END_OF_HEAD = b"\r\n\r\n"

Address = str | tuple[str, int]
"""A Unix socket's path, or host and port."""


class SocketLine:
    """One client's connection."""

    def __init__(self, address: Address, lengths: dict[str, int]) -> None:
        """Prepare; `lengths` stores the lengths of responses for all connections."""
        self._address = address
        self._lengths = lengths
        self._sock: socket.socket | None = None

    def close(self) -> None:
        """Hang up; what was not read makes it a reset."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    async def exchange(self, request: Request, cut: Cut | None = None) -> Answer:
        """Send a request and read its response, both as far as `cut` lets them."""
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._exchange(request, cut)
        except BaseException:
            self.close()
            raise

    async def _exchange(self, request: Request, cut: Cut | None) -> Answer:
        loop = asyncio.get_running_loop()
        if self._sock is None:
            family = socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET
            self._sock = socket.socket(family, socket.SOCK_STREAM)
            self._sock.setblocking(False)
            await loop.sock_connect(self._sock, self._address)
        sent = written(request)
        if cut is not None and cut.where is Breaks.IN_REQUEST:
            await loop.sock_sendall(self._sock, sent[: int(len(sent) * cut.share)])
            raise BrokenError
        await loop.sock_sendall(self._sock, sent)
        if cut is not None and cut.where is Breaks.UNHEARD:
            raise BrokenError
        kind = request.path.rpartition("/")[0]
        limit = None if cut is None else int(self._lengths.get(kind, USUAL_ANSWER) * cut.share)
        head, body, missing = await self._read(self._sock, limit)
        if missing:
            self.close()
        else:
            self._lengths[kind] = len(head) + len(body)
        fields = parsed(head)
        cookies = tuple(value.decode() for name, value in fields if name == b"set-cookie")
        encoding = b"".join(value for name, value in fields if name == b"content-encoding")
        status = int(head.split(b" ", 2)[1])
        if missing:
            return Answer(status, body, cookies, whole=False)
        if (b"connection", b"close") in fields:
            self.close()
        return Answer(status, unpacked(body, encoding), cookies)

    async def _read(self, sock: socket.socket, limit: int | None) -> tuple[bytes, bytes, int]:
        """Return head and body, and how many bytes of the body were left unread."""
        loop = asyncio.get_running_loop()
        buffer = bytearray()
        end, length = -1, 0
        while limit is None or len(buffer) < limit:
            piece = await loop.sock_recv(sock, PIECE if limit is None else limit - len(buffer))
            if not piece:
                raise BrokenError
            buffer += piece
            if end < 0:
                end = buffer.find(END_OF_HEAD)
                if end >= 0:
                    length = content_length(bytes(buffer[:end]))
            if end >= 0 and len(buffer) >= end + len(END_OF_HEAD) + length:
                break
        if end < 0:
            raise BrokenError
        start = end + len(END_OF_HEAD)
        body = bytes(buffer[start:])
        assert len(body) <= length, f"{len(body) - length} bytes came after a response"
        return bytes(buffer[:start]), body, length - len(body)


class Sockets:
    """A server on an address, over HTTP/1.1."""

    def __init__(self, address: Address) -> None:
        """Take the address."""
        self._address = address
        self._lengths: dict[str, int] = {}

    def line(self) -> SocketLine:
        """Return a connection."""
        return SocketLine(self._address, self._lengths)


def written(request: Request) -> bytes:
    """Return a request's bytes."""
    target = f"{request.path}?{request.query}" if request.query else request.path
    fields = b"".join(b"%b: %b\r\n" % field for field in request.headers)
    line = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), target.encode())
    usual = b"Host: testserver\r\nContent-Type: %b\r\nContent-Length: %d\r\n" % (
        request.content_type,
        len(request.body),
    )
    return b"".join((line, usual, fields, b"\r\n", request.body))


def parsed(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the fields of a head."""
    lines = head.rstrip().split(b"\r\n")[1:]
    parts = (line.partition(b":") for line in lines)
    return [(name.lower(), value.strip()) for name, _, value in parts]


def content_length(head: bytes) -> int:
    """Return the length of the body; the server always sends it."""
    message = [value for name, value in parsed(head) if name == b"content-length"]
    assert len(message) == 1 or head.split(b" ", 2)[1] == b"204", f"a response without a length: {head!r}"
    return int(message[0]) if message else 0
