"""The layers between the Macs and PostgreSQL: the application alone, uvicorn, or santa-proxy and uvicorn.

The application runs in the model's own event loop, so that the model's clock is its clock.
"""

import asyncio
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from santaserver.clock import Clock
from santaserver.main import create_app
from santaserver.serve import bind_unix, make_server
from santaserver.settings import load
from santaserver.state import AppState
from tests.model.http1 import Address, Sockets
from tests.model.wire import InProcess, Request, Wire
from tests.support.postgres import REPOSITORY
from tests.support.server import LONG_SESSIONS
from tests.support.sockets import listen_on_loopback

if TYPE_CHECKING:
    from uvicorn import Server

START_LIMIT = 30.0
STEP = 0.002
"""Seconds between two looks at whether something has come to an end."""


class Stack:
    """The application in this process, called directly."""

    name = "application"

    def __init__(self, dsn: str, clock: Clock) -> None:
        """Build the application as in production."""
        self.app = create_app(load({"DATABASE_URL": dsn, **LONG_SESSIONS}), clock)
        self.state: AppState = self.app.state.santa
        self.wire: Wire = InProcess(self.app)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Be there; then give the connections to the database back."""
        try:
            yield
        finally:
            await self.wire.quiet()
            await self.state.database.close()


class Served(Stack):
    """The application behind the uvicorn of production, on a Unix socket."""

    name = "uvicorn"

    def __init__(self, dsn: str, clock: Clock) -> None:
        """Prepare a folder for the socket."""
        super().__init__(dsn, clock)
        self._folder = tempfile.TemporaryDirectory(prefix="santa-model-")
        self.folder = Path(self._folder.name)
        self.backend = self.folder / "backend.sock"
        self._ready = asyncio.Event()
        self.server = make_server(self.app, self._ready.set)
        self.wire = Quieted(str(self.backend), self.server, kept_open=False)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve; a signal ends the server as always, and so cancels what is done meanwhile."""
        task = asyncio.create_task(self.server.serve(sockets=[bind_unix(self.backend)]))
        body = asyncio.current_task()
        ours = False

        def ended(_: object) -> None:
            if body is not None and not ours:
                body.cancel()

        task.add_done_callback(ended)
        try:
            async with asyncio.timeout(START_LIMIT):
                await self._ready.wait()
            yield
        finally:
            ours = True
            self.server.handle_exit(signal.SIGTERM, None)
            await task
            self._folder.cleanup()


class Proxied(Served):
    """All of it: santa-proxy on TCP in front of uvicorn."""

    name = "santa-proxy"

    def __init__(self, dsn: str, clock: Clock, program: Path) -> None:
        """Take the built santa-proxy."""
        super().__init__(dsn, clock)
        self._program = program
        with listen_on_loopback() as free:
            self._address: tuple[str, int] = free.getsockname()
        self.wire = Quieted(self._address, self.server, kept_open=True)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve, with santa-proxy as a process of its own."""
        async with super().serving():
            log = self.folder / "proxy.log"
            with log.open("wb") as output:
                proxy = await asyncio.create_subprocess_exec(
                    self._program,
                    "--config",
                    REPOSITORY / "docker/santa.toml",
                    env=self._environment(),
                    stdout=output,
                    stderr=output,
                )
            try:
                await self._wait_for(proxy, log)
                yield
            finally:
                if proxy.returncode is None:
                    proxy.terminate()
                await proxy.wait()

    def _environment(self) -> dict[str, str]:
        """Move everything in the configuration to where this run has it."""
        www = self.folder / "www"
        www.mkdir()
        www.joinpath("index.html").write_text("<!doctype html><title>model</title>\n")
        return {
            "UVICORN_UDS": str(self.backend),
            "SANTA__PATHS__WWW": str(www),
            "SANTA__SOCKET__HTTP__LISTEN": "{}:{}".format(*self._address),
            "SANTA__ADMIN__LISTEN": "",
            "SANTA__PROXY__WORKERS": "1",
            "SANTA__PROXY__ACCESS__LOG": "false",
            "SANTA__PROXY__LIMITS__REQUESTS_PER_ADDRESS": "0",  # all Macs of the model have one address
        }

    async def _wait_for(self, proxy: asyncio.subprocess.Process, log: Path) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(START_LIMIT):
                while proxy.returncode is None and not answers(self._address):  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.02)
        if proxy.returncode is not None or not answers(self._address):
            raise RuntimeError(f"santa-proxy did not start: {text_of(log)}")


class Quieted(Sockets):
    """Sockets whose server is at hand, to see when it has nothing to do any more."""

    def __init__(self, address: Address, server: "Server", *, kept_open: bool) -> None:
        """`kept_open` says that someone in between keeps connections open."""
        super().__init__(address)
        self._server = server
        self._kept_open = kept_open

    async def quiet(self) -> None:
        """Return when nothing that was sent is still worked on.

        Connections are accepted in order: once a new one has a response, all earlier ones were handled.
        """
        line = self.line()
        await line.exchange(Request("GET", "/health/live"))
        line.close()
        state = self._server.server_state
        while state.tasks or (state.connections and not self._kept_open):  # noqa: ASYNC110 - uvicorn has no such event
            await asyncio.sleep(STEP)


def answers(address: tuple[str, int]) -> bool:
    """Return whether a server listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


def text_of(log: Path) -> str:
    """Return a process's output."""
    return log.read_text(errors="replace")


def stack(name: str, dsn: str, clock: Clock, proxy: Path | None = None) -> Stack:
    """Return a stack by its name."""
    if name == Proxied.name:
        if proxy is None:
            raise ValueError("the stack santa-proxy needs the program")
        return Proxied(dsn, clock, proxy)
    return Served(dsn, clock) if name == Served.name else Stack(dsn, clock)
