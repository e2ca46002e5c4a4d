"""Calls the application in this process, request by request, as a connection that may break would."""

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI


@dataclass(frozen=True)
class Answer:
    """A complete answer."""

    status: int
    body: bytes
    cookies: tuple[str, ...] = ()


async def call(
    app: FastAPI,
    method: str,
    path: str,
    body: bytes = b"",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    query: bytes = b"",
    cut_at: int | None = None,
) -> Answer:
    """Send a request; `cut_at` ends the connection after so many bytes of its body."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"testserver"), (b"content-type", b"application/json"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "state": {},
    }
    part = body if cut_at is None else body[:cut_at]
    incoming = [{"type": "http.request", "body": part, "more_body": cut_at is not None}]
    outgoing: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:  # noqa: ANN401 - an ASGI message
        outgoing.append(message)

    await app(scope, receive, send)
    start: dict[str, Any] = outgoing[0] if outgoing else {"status": 0, "headers": ()}
    content = b"".join(message.get("body", b"") for message in outgoing[1:])
    cookies = tuple(value.decode() for name, value in start["headers"] if name == b"set-cookie")
    return Answer(start["status"], content, cookies)
