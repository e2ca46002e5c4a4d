"""Live sockets for tests."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.server import RunningServer

WAIT = 20.0


@contextmanager
def socket(
    server: RunningServer, client: httpx.Client | None, origin: str | None = None, query: str = ""
) -> Iterator[ClientConnection]:
    """Open a socket with a client's login."""
    cookie = f"santa_session={client.cookies['santa_session']}" if client else ""
    headers = {"Cookie": cookie} if cookie else {}
    url = server.url.replace("http://", "ws://") + "/api/v1/live" + query
    options: Any = {"additional_headers": headers, "origin": origin, "compression": None}
    with connect(url, max_queue=None, **options) as made:  # unread messages hold up no goodbye
        yield made


def receive(made: ClientConnection) -> dict[str, Any]:
    """Return the next message."""
    message: dict[str, Any] = json.loads(made.recv(timeout=WAIT))
    return message


def listen(
    made: ClientConnection, kind: str, fits: Callable[[dict[str, Any]], bool] = lambda _: True
) -> dict[str, Any]:
    """Return the next message of a type that fits."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        message = receive(made)
        if message["type"] == kind and fits(message):
            return message
    raise TimeoutError(f"no fitting message of the type {kind}")


def closed(made: ClientConnection) -> None:
    """Wait until the server closes the socket, whatever it says before."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        try:
            receive(made)
        except ConnectionClosed:
            return
    raise TimeoutError("the socket stays open")


def watch(made: ClientConnection, **wanted: object) -> None:
    """Say what is shown; the server handles it before whatever happens after another answer of it."""
    made.send(json.dumps({"type": "watch", **wanted}))
