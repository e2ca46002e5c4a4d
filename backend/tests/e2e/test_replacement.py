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


@pytest.mark.usefixtures("deployment")
@pytest.mark.parametrize("way", ["socket", "reuseport"])
@pytest.mark.parametrize("connections", [(), ("--kept",)], ids=["new", "kept"])
def test_a_replaced_server_loses_none_of_10000_requests(way: str, connections: tuple[str, ...]) -> None:
    found = measure(way, *connections)
    assert found["lost"] == []
    assert found["warned"] is False


@pytest.mark.usefixtures("deployment")
def test_a_kernel_that_would_lose_requests_is_named_at_the_start() -> None:
    assert measure("reuseport", "--no-migration", "--requests=500")["warned"] is True
