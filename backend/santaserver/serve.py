"""Serves the application on an inherited socket, and stops without losing a request.

Imports little at load time: an own socket is bound first, so that connections wait in its backlog while the
application is imported. On an inherited one, listen() is called when the application is up, which is the
supervisor's sign of readiness.
"""

import asyncio
import errno
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from santaserver.settings import Settings

if TYPE_CHECKING:
    from types import FrameType

    from uvicorn import Server

log = logging.getLogger(__name__)

BACKLOG = 2048
GRACE = 5
"""Seconds that requests in flight and sockets get after a stop signal."""
DRAIN = 0.3
"""Seconds in which an accepted connection may still send its first request."""
LOOK = 0.01
"""Seconds between two looks at the connections that are left."""
TICK = 0.1
"""Seconds between two looks of uvicorn at its date header and limits; it counts in tenths."""
KEEP_ALIVE = 75
"""Seconds an idle connection stays open; santa-proxy closes its own earlier."""


class ServeError(Exception):
    """The socket cannot be used; the message says which and why."""


def inherited_socket(descriptor: int) -> socket.socket:
    """Take over a listening socket by its descriptor; the holder's copy stays open."""
    try:
        return socket.socket(fileno=os.dup(descriptor))
    except OSError as error:
        raise ServeError(f"descriptor {descriptor} is not an inherited socket: {error}") from error


def bind_unix(path: Path) -> socket.socket:
    """Bind a Unix socket that only this user can reach; a file nobody listens on is replaced."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if path.exists():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise ServeError(f"{path} is in use by another process: stop it or choose another path")
        path.unlink()
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, str(error))
        raise ServeError(f"cannot bind {path}: {reason}") from error
    finally:
        os.umask(before)
    sock.listen(BACKLOG)
    return sock


SWITCH_INTERVAL = 0.001
"""Seconds that a thread that parses a large body may block the event loop."""


def run(settings: Settings, sock: socket.socket, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT; returns after the last response."""
    from santaserver.main import create_app  # noqa: PLC0415 - after the socket is bound

    sys.setswitchinterval(SWITCH_INTERVAL)
    for notice in (*settings.notices, *settings.cautions):
        log.warning(notice)
    server = make_server(create_app(settings), on_ready)
    gc.collect()
    gc.freeze()  # what lasts as long as the process: looking through it again takes a tenth of a second
    asyncio_run(server, sock)
    log.info("stopped")


def asyncio_run(server: "Server", sock: socket.socket) -> None:
    """Run a server on its own event loop."""
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[sock]))


async def _drain(connections: set[Any]) -> None:
    """Let each connection end after the request that it is at, for a while."""
    for connection in connections:
        cycle = getattr(connection, "cycle", None)
        if cycle is not None and hasattr(cycle, "keep_alive"):
            cycle.keep_alive = False
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN):
            await asyncio.sleep(LOOK)  # what was accepted last becomes a connection
            while connections:  # noqa: ASYNC110 - uvicorn has no such event
                await asyncio.sleep(LOOK)


def make_server(app: object, on_ready: Callable[[], None]) -> "Server":
    """Return a uvicorn server that drains; `on_ready` is called once it listens."""
    from uvicorn import Config, Server  # noqa: PLC0415

    class DrainingServer(Server):
        """Ends a worker without a client noticing: listeners first, then what is already connected."""

        async def serve(self, sockets: list[socket.socket] | None = None) -> None:
            self.loop = asyncio.get_running_loop()
            self.asked_to_stop = asyncio.Event()
            with self.capture_signals():
                await self._serve(sockets)
                self._captured_signals.clear()  # a stop that was asked for is no failure: exit 0

        def handle_exit(self, sig: int, frame: "FrameType | None") -> None:
            super().handle_exit(sig, frame)
            self.loop.call_soon_threadsafe(self.asked_to_stop.set)

        async def main_loop(self) -> None:
            # As uvicorn's own, which notices a stop only at its next tick.
            counter = 0
            while not await self.on_tick(counter):
                counter = (counter + 1) % 864_000
                with suppress(TimeoutError):
                    async with asyncio.timeout(TICK):
                        await self.asked_to_stop.wait()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                log.info("ready")
                on_ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for listener in self.servers:
                listener.close()
            self.config.encoded_headers.append((b"connection", b"close"))
            self.server_state.default_headers = [
                *self.server_state.default_headers,
                (b"connection", b"close"),
            ]
            await _drain(self.server_state.connections)
            if self.server_state.connections or self.server_state.tasks or self.force_exit:
                await super().shutdown(sockets)
                return
            for listening in sockets or []:
                listening.close()
            await self.lifespan.shutdown()  # uvicorn's shutdown would first sleep for 0.1 s

    return DrainingServer(
        Config(
            app,  # type: ignore[arg-type]
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_max_size=64 * 1024,
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        )
    )
