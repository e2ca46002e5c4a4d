"""The whole server is replaced under load, in the two ways in which no request is lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BACKEND = Path(__file__).parents[2]


def measure(*words: str) -> dict[str, object]:
    """Run one measurement; those at a shared address need a network of their own."""
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-m", "tests.e2e.replacement", *words],
        cwd=BACKEND,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


REQUESTS = 2_000
"""Those in all, besides what is sent while the server is replaced: without pause, so that it meets many."""


@pytest.mark.usefixtures("deployment")
@pytest.mark.parametrize("way", ["socket", "reuseport"])
@pytest.mark.parametrize("connections", [(), ("--kept",)], ids=["new", "kept"])
def test_a_replaced_server_loses_no_request(way: str, connections: tuple[str, ...]) -> None:
    found = measure(way, f"--requests={REQUESTS}", *connections)
    assert found["lost"] == []
    assert int(str(found["answered"])) >= REQUESTS
    assert found["warned"] is False


@pytest.mark.usefixtures("deployment")
def test_a_kernel_that_would_lose_requests_is_named_at_the_start() -> None:
    assert measure("reuseport", "--no-migration", "--requests=500")["warned"] is True
