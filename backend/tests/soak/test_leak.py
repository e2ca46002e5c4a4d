"""A build that leaks on purpose is caught, and the build that is shipped is not: both under real requests."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.soak.system import at_rest, held_by
from tests.soak.trends import leaks
from tests.support.counting import Counting
from tests.support.postgres import as_server
from tests.support.sockets import listen_on_loopback

BACKEND = Path(__file__).parents[2]
CYCLES = 10
REQUESTS = 120
"""In each cycle: 1 MB and two descriptors of the build that leaks."""


@contextmanager
def serving(module: str, dsn: str) -> Iterator[tuple[int, str]]:
    """Run a backend of its own; yield its process and its address."""
    with listen_on_loopback() as listener:
        address = "{}:{}".format(*listener.getsockname())
        descriptor = listener.fileno()
        command = [sys.executable, "-m", module, "serve", f"--fd={descriptor}"]
        environment = os.environ | {"DATABASE_URL": as_server(dsn), "PUBLIC_URL": f"http://{address}"}
        process = subprocess.Popen(  # noqa: S603 - ours
            command, cwd=BACKEND, env=environment, pass_fds=[descriptor], stderr=subprocess.DEVNULL
        )
    try:
        assert httpx.get(f"http://{address}/health/ready", timeout=30).status_code == 200
        yield process.pid, address
    finally:
        process.terminate()
        assert process.wait(30) == 0


def found_in(module: str, dsn: str) -> list[str]:
    """Return what leaks in a build, after equal cycles of requests that each end idle."""
    series: dict[tuple[str, str], list[float]] = {}
    with serving(module, dsn) as (pid, address):
        for _ in range(CYCLES):
            with Counting(address, kept=False) as requests:
                requests.until_answered(REQUESTS)
            for figure, number in at_rest(lambda: {"": held_by(pid)}, 0.05)[""].figures().items():
                series.setdefault(("backend", figure), []).append(number)
    return leaks(series)


def test_a_build_that_leaks_memory_and_descriptors_is_caught(dsn: str) -> None:
    found = " ".join(found_in("tests.soak.leak", dsn))
    assert "private memory grows" in found
    assert "descriptors grows" in found


def test_the_build_that_is_shipped_leaks_nothing(dsn: str) -> None:
    assert found_in("santaserver", dsn) == []


pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's /proc")
