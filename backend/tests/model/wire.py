"""The transport of requests to the application, with broken connections. Independent of Santa.

`InProcess` calls the application without a byte on a wire, which is cheapest; `http1.Sockets` speaks
HTTP/1.1 to whoever listens. Next: stacks.py says what stands behind each.
"""

import asyncio
import gzip
import json
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Protocol

from starlette.types import ASGIApp

TIMEOUT = 60.0
"""Seconds for which a client accepts that the server is overloaded."""
RETRY_AFTER = 1.0


class BrokenError(Exception):
    """The connection ended before the head of a response was there."""


class Breaks(Enum):
    """Where a connection breaks."""

    IN_REQUEST = "request cut"
    """So many bytes of the request were sent, and no more."""
    IN_ANSWER = "response cut"
    """So many bytes of the response were read, and no more."""
    UNHEARD = "abandoned"
    """The client went away after its request; that one is still worked on, perhaps beside the next."""


@dataclass(frozen=True)
class Cut:
    """A break, and after which share of the bytes."""

    where: Breaks
    share: float = 0.0


@dataclass(frozen=True)
class Request:
    """A request; `headers` are those beside the usual ones."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    query: str = ""
    content_type: bytes = b"application/json"


@dataclass(frozen=True)
class Answer:
    """A response whose head came, and its body as far as it came."""

    status: int
    body: bytes
    cookies: tuple[str, ...] = ()
    whole: bool = True

    def json(self) -> Any:  # noqa: ANN401 - whatever was said
        """Return what the body says, None for nothing."""
        return json.loads(self.body) if self.body else None


class Line(Protocol):
    """A connection of one client, opened when it is first used and again after a break."""

    async def exchange(self, request: Request, cut: Cut | None = None) -> Answer:
        """Send a request; raise `BrokenError` when the connection ends before the response begins."""

    def close(self) -> None:
        """Hang up."""


class Wire(Protocol):
    """A way to the application."""

    def line(self) -> Line:
        """Return a connection."""

    async def quiet(self) -> None:
        """Return when nothing that was sent is still worked on."""


def unpacked(body: bytes, encoding: bytes) -> bytes:
    """Undo a response's content encoding."""
    assert encoding in {b"", b"gzip"}, f"a response came as {encoding!r}"
    return gzip.decompress(body) if encoding else body


async def exchange(line: Line, request: Request, cut: Cut | None = None) -> Answer:
    """Send a request again while the server refuses it as overloaded, as on a machine that is busy otherwise.

    After `TIMEOUT` seconds the refusal is returned: then it is no passing shortage.
    """
    until = time.monotonic() + TIMEOUT
    while True:
        response = await line.exchange(request, cut)
        if response.status != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > until:
            return response
        await asyncio.sleep(RETRY_AFTER)


class InProcess:
    """Calls the application in this process."""

    def __init__(self, app: ASGIApp) -> None:
        """Take the application."""
        self.app = app
        self._unheard: set[asyncio.Task[Answer]] = set()

    def line(self) -> "InProcess":
        """Return a connection: there is nothing to connect."""
        return self

    def close(self) -> None:
        """Hang up: there is nothing to hang up."""

    async def quiet(self) -> None:
        """Return when nothing that was sent is still worked on."""
        while self._unheard:
            await asyncio.gather(*self._unheard)

    async def exchange(self, request: Request, cut: Cut | None = None) -> Answer:
        """Call the application, or let it be called while the client has gone."""
        if cut is None:
            return await self._call(request, len(request.body))
        if cut.where is Breaks.UNHEARD:
            self._leave(self._call(request, len(request.body)))
            raise BrokenError
        if cut.where is Breaks.IN_REQUEST:
            await self._call(request, int(len(request.body) * cut.share), whole=False)
            raise BrokenError
        response = await self._call(request, len(request.body))
        # Half of what is sent in one page or less is the head of the response.
        if cut.share < 0.5:
            raise BrokenError
        return Answer(response.status, b"", response.cookies, whole=False)

    def _leave(self, call: Coroutine[Any, Any, Answer]) -> None:
        task = asyncio.create_task(call)
        self._unheard.add(task)
        task.add_done_callback(self._unheard.discard)

    async def _call(self, request: Request, size: int, *, whole: bool = True) -> Answer:
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.path,
            "raw_path": request.path.encode(),
            "query_string": request.query.encode(),
            "root_path": "",
            "headers": [
                (b"host", b"testserver"),
                (b"content-type", request.content_type),
                *request.headers,
            ],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
            "state": {},
        }
        incoming = [{"type": "http.request", "body": request.body[:size], "more_body": not whole}]
        outgoing: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return incoming.pop() if incoming else {"type": "http.disconnect"}

        async def send(message: Any) -> None:  # noqa: ANN401 - an ASGI message
            outgoing.append(message)

        await self.app(scope, receive, send)
        start: dict[str, Any] = outgoing[0] if outgoing else {"status": 0, "headers": ()}
        body = b"".join(message.get("body", b"") for message in outgoing[1:])
        cookies = tuple(value.decode() for name, value in start["headers"] if name == b"set-cookie")
        encoding = next((value for name, value in start["headers"] if name == b"content-encoding"), b"")
        return Answer(start["status"], unpacked(body, encoding), cookies)
