"""The real application on a real socket, in a thread of the test process."""

import signal
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from santaserver.main import create_app
from santaserver.serve import asyncio_run, make_server
from santaserver.settings import load
from tests.support import secrets
from tests.support.postgres import as_server
from tests.support.rest_client import RestClient
from tests.support.sockets import NO_TLS, listen_on_loopback

WAIT = 30.0
LINK = 1.0
"""Seconds to wait until it hears other processes; without a database it never does."""
LONG_SESSIONS = {
    "SESSION_HOURS": "720",
    "SESSION_IDLE_MINUTES": "43200",
    "SESSION_ADMIN_HOURS": "720",
    "SESSION_ADMIN_IDLE_MINUTES": "43200",
}
"""Tests let days pass."""


class MovableClock:
    """The system's time plus what a test adds."""

    def __init__(self) -> None:
        """Start at the real time."""
        self.ahead = timedelta(0)
        self._stopped: datetime | None = None

    def __call__(self) -> datetime:
        """Return the moment."""
        return (self._stopped or datetime.now(UTC)) + self.ahead

    def stop(self) -> None:
        """Stand still until `advance`, so that a slow machine lets no delay of the server pass."""
        self._stopped = datetime.now(UTC)

    def advance(self, **amount: float) -> None:
        """Let time pass, for example `hours=2`."""
        self.ahead += timedelta(**amount)


class RunningServer:
    """One worker; use it as a context manager."""

    def __init__(
        self,
        dsn: str,
        environ: Mapping[str, str] | None = None,
        clock: MovableClock | None = None,
        *,
        as_owner: bool = False,
    ) -> None:
        """Prepare a server on `dsn` with further environment variables, and perhaps another clock.

        It logs in as the role of servers, or as the owner where the database was migrated for one role.
        """
        self.dsn = dsn
        self.clock = clock or MovableClock()
        variables = {
            "DATABASE_URL": dsn if as_owner else as_server(dsn),
            "PUBLIC_URL": "http://testserver",
            "EVENT_RETENTION_DAYS": "3650",  # the recorded events of real clients are some years old
            **LONG_SESSIONS,
            **(environ or {}),
        }
        self.app = create_app(load(variables), self.clock)
        self._sock = listen_on_loopback()
        self.url = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        self._ready = threading.Event()
        self._server = make_server(self.app, self._ready.set)
        self._thread = threading.Thread(target=asyncio_run, args=(self._server, self._sock), daemon=True)

    def __enter__(self) -> Self:
        """Start and wait until it listens."""
        self._thread.start()
        if not self._ready.wait(WAIT):
            raise RuntimeError("the server did not start")
        deadline = time.monotonic() + LINK
        while not self.app.state.santa.bus.linked and time.monotonic() < deadline:
            time.sleep(0.002)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and wait until it has drained."""
        self.stop()

    def stop(self) -> None:
        """Stop like SIGTERM does; nothing when it has stopped."""
        if self._thread.is_alive():
            self._server.handle_exit(signal.SIGTERM, None)
            self._thread.join(WAIT)

    def client(self, **options: str) -> RestClient:
        """Return an HTTP client for this server."""
        return RestClient(
            base_url=self.url,
            timeout=WAIT,
            headers=options,
            verify=NO_TLS,
            event_hooks={"response": [secrets.watch]},
        )
