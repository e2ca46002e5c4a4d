"""The testers of others: `scim2-cli` finds nothing, `scim-sanity` what docs/operations.md disputes."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ADMIN
from tests.scim.directory import SCIM, new_token
from tests.support.server import RunningServer

DISPUTED = {
    "PATCH /Groups/{id}",  # 204 is allowed (RFC 7644, 3.5.2), and what Entra documents
    "PATCH /Groups/{id} add member",  # someone who does not exist is refused, not forgotten
    "PATCH /Groups/{id} remove members",  # 204 again
}
LIMIT = 600.0


@pytest.fixture
def address(dsn: str) -> Iterator[tuple[str, str]]:
    """Return where SCIM is, and a token; without `PUBLIC_URL`, so that locations can be followed."""
    with RunningServer(dsn) as server, server.client() as admin:
        body = {"username": ADMIN[0], "password": ADMIN[1]}
        admin.post("/api/v1/auth/login", json=body).raise_for_status()
        secret = new_token(admin, server)["secret"]
    with RunningServer(dsn, {"PUBLIC_URL": ""}) as server:
        yield server.url + SCIM, secret


def run(program: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the development environment."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    return subprocess.run(  # noqa: S603 - pinned in requirements-dev.txt
        command,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "NO_PROXY": "127.0.0.1", **environ},
    )


def test_scim2_cli_finds_nothing(address: tuple[str, str]) -> None:
    url, secret = address
    done = run("scim2", "--url", url, "test", SCIM_CLI_HEADERS=f"Authorization: Bearer {secret}")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert len(re.findall(r"^SUCCESS ", output, re.MULTILINE)) > 100, output
    assert not re.search(r"^(ERROR|CRITICAL|SKIPPED) ", output, re.MULTILINE), output


def test_scim_sanity_finds_what_is_disputed(address: tuple[str, str]) -> None:
    url, secret = address
    done = run("scim-sanity", "probe", url, "--token", secret, "--i-accept-side-effects")
    found = dict.fromkeys(re.findall(r"\[FAIL\] (.+?)\s*$", done.stdout, re.MULTILINE))
    assert set(found) == DISPUTED, done.stdout + done.stderr
    assert len(re.findall(r"\[PASS\]", done.stdout)) == 25, done.stdout
    assert not re.search(r"\[ERROR\]", done.stdout), done.stdout
