"""Clients that count what a replacement of the server costs: requests lost, and the longest wait."""

import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

from tests.support.clients import Clients

REQUESTS = (
    ("GET", "/health"),
    ("GET", "/api/v1/auth/me"),
    ("POST", "/api/santa/e/wrong/preflight/unknown-mac"),
)
"""One that santa-proxy answers alone, and two that reach the backend."""
EXPECTED = {200, 401}
TIMEOUT = 60.0


@dataclass
class Tally:
    """What became of the requests."""

    answered: int = 0
    retried: int = 0
    """Requests on a kept connection that the server had closed; they were sent again on a new one."""
    lost: list[str] = field(default_factory=list)
    longest: float = 0.0
    """Seconds that the slowest one took."""


class Counting(Clients):
    """Clients that send requests continuously, on a new connection each or on kept ones."""

    def __init__(self, address: str, kept: bool, clients: int = 4, pause: float = 0.0) -> None:
        """Prepare them; each waits `pause` seconds between two requests."""
        super().__init__(clients)
        self.tally = Tally()
        self._address = address
        self._kept = kept
        self._pause = pause
        self._lock = threading.Lock()

    def note(self, request: str, begun: float, problem: str) -> None:
        """Learn what became of a request that was sent at `begun`, of the monotonic clock."""

    def until_answered(self, number: int) -> None:
        """Wait until so many requests in all are answered, lost ones included."""
        deadline = time.monotonic() + TIMEOUT
        while self.tally.answered + len(self.tally.lost) < number:
            assert time.monotonic() < deadline, f"requests are not answered any more: {self.tally}"
            time.sleep(0.01)

    def _run(self) -> None:
        connection = self._connect()
        reused = False
        turn = 0
        while not self._stop.wait(self._pause):
            request = REQUESTS[turn % len(REQUESTS)]
            turn += 1
            begun = time.monotonic()
            problem, keep = self._ask(connection, *request)
            if problem and reused:
                # What every client does: the connection was closed while it was idle.
                connection.close()
                connection = self._connect()
                with self._lock:
                    self.tally.retried += 1
                problem, keep = self._ask(connection, *request)
            with self._lock:
                self.tally.longest = max(self.tally.longest, time.monotonic() - begun)
                if problem:
                    self.tally.lost.append(f"{' '.join(request)}: {problem}")
                else:
                    self.tally.answered += 1
            self.note(" ".join(request), begun, problem)
            reused = keep and self._kept
            if not reused:
                connection.close()
                connection = self._connect()
        connection.close()

    def _connect(self) -> HTTPConnection:
        host, _, port = self._address.partition(":")
        return HTTPConnection(host, int(port), timeout=TIMEOUT)

    def _ask(self, connection: HTTPConnection, method: str, path: str) -> tuple[str, bool]:
        """Return what went wrong, if anything, and whether the connection stays open."""
        try:
            body = b"{}" if method == "POST" else None
            connection.request(method, path, body, {} if self._kept else {"Connection": "close"})
            response = connection.getresponse()
            response.read()
        except (OSError, HTTPException) as error:
            return repr(error), False
        return "" if response.status in EXPECTED else str(response.status), not response.will_close
