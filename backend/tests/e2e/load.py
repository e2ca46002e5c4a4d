"""Clients that send requests continuously."""

import itertools
import time
from collections.abc import Sequence

import httpx
import pytest

from tests.support.clients import Clients

READ = ("GET", "/api/v1/auth/me")
SYNC = ("POST", "/api/santa/e/wrong/preflight/unknown-mac")


class Load(Clients):
    """Requests at a steady rate from several clients; records every failure."""

    def __init__(self, url: str, requests: Sequence[tuple[str, str]] = (READ,), clients: int = 4) -> None:
        """Prepare clients; the requests alternate, and all get 401."""
        super().__init__(clients)
        self.url = url
        self.requests = requests
        self.clients = clients
        self.served = 0
        self.failures: list[str] = []

    def wait_for_answers(self, number: int, seconds: float = 30) -> None:
        """Wait for this many more responses; fail after the timeout."""
        wanted = self.served + number
        deadline = time.monotonic() + seconds
        while self.served < wanted:
            if time.monotonic() > deadline:
                pytest.fail("requests are not answered any more")
            time.sleep(0.02)

    def _run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            for method, path in itertools.cycle(self.requests):
                if self._stop.wait(0.01):
                    return
                try:
                    response = client.request(method, path, content=b"{}" if method == "POST" else None)
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                else:
                    self.served += 1
                    if response.status_code != 401:
                        self.failures.append(f"{method} {path}: {response.status_code}")
