"""Two instances of the backend under santa-supervise: either may end at any moment."""

import json
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Deployment
from tests.e2e.load import READ, SYNC, Load
from tests.support import secrets

TIMEOUT = 60.0
"""How long a state may take to come, in seconds."""


def free_addresses(count: int) -> list[str]:
    """Return distinct free addresses."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


class Pair:
    """santa-supervise with santa-proxy and two backends, on the database of the deployment."""

    def __init__(self, folder: Path, **variables: str) -> None:
        """Write its configuration and start it with further variables."""
        text = Path(os.environ["SANTA_E2E_CONFIG"]).read_text()
        if "PUBLIC_URL" in variables:
            text = re.sub(r"(?m)^PUBLIC_URL = .*$", "", text)
        head, *rest = re.split(r"(?m)^(?=\[\[service\]\]$|\[socket\.backend\]$)", text)
        parts = [part for part in rest if not re.search(r'(?m)^name = "(migrate|demo|database)"$', part)]
        self.config = folder / "santa.toml"
        self.config.write_text(re.sub(r"(?m)^depends_on = .*$", "", head + "".join(parts)))
        public, admin = free_addresses(2)
        self.url = f"http://{public}"
        self.environment = os.environ | {
            "UVICORN_WORKERS": "2",
            "SANTA__ADMIN__LISTEN": admin,
            "SANTA__SOCKET__HTTP__LISTEN": public,
            "SANTA__SOCKET__BACKEND__LISTEN": f"unix:{folder}/backend.sock",
            "SANTA__SUPERVISOR__CONTROL_SOCKET": f"{folder}/supervise.sock",
            "SANTA__SUPERVISOR__LOG__FORMAT": "json",
            **variables,
        }
        self.log = folder / "log"
        with self.log.open("wb") as log:
            command = [os.environ["SANTA_E2E_SUPERVISE"], "run", "--config", str(self.config)]
            self.process = subprocess.Popen(  # noqa: S603 - ours
                command, env=self.environment, stdout=log, stderr=log
            )

    def supervise(self, *words: str) -> str:
        """Give it a command."""
        command = [os.environ["SANTA_E2E_SUPERVISE"], *words, "--config", str(self.config)]
        done = subprocess.run(  # noqa: S603 - ours
            command, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def until(self, *states: str) -> None:
        """Wait until its backends are in these states."""
        deadline = time.monotonic() + TIMEOUT
        while self._states() != list(states):
            if time.monotonic() > deadline or self.process.poll() is not None:
                pytest.fail(f"the backends are not {states}:\n{self.log.read_text()}")
            time.sleep(0.05)

    def _states(self) -> list[str]:
        try:
            status = json.loads(self.supervise("status", "--json"))
        except subprocess.CalledProcessError:
            return []
        return [service["state"] for service in status["services"] if service["name"] == "backend"]

    def stop(self) -> int:
        """Stop everything; return the exit code."""
        self.process.terminate()
        return self.process.wait(TIMEOUT)


@pytest.fixture
def pair(deployment: Deployment) -> Iterator[Pair]:
    """Return the two, both ready; the deployment brings the database."""
    assert httpx.get(f"{deployment.url}/health").status_code == 200
    with tempfile.TemporaryDirectory(prefix="santa-") as folder:
        pair = Pair(Path(folder))
        try:
            pair.until("ready", "ready")
            yield pair
        finally:
            code = pair.stop()
        assert code == 0
        assert secrets.lines_with_secrets(pair.log.read_text().splitlines()) == []


def test_stopping_and_starting_one_under_load_fails_no_request(pair: Pair) -> None:
    with Load(pair.url, (READ, SYNC)) as load:
        load.wait_for_answers(40)
        for instance in ("backend:0", "backend:1", "backend:0"):
            pair.supervise("stop", instance)
            load.wait_for_answers(60)
            pair.supervise("start", instance)
            load.wait_for_answers(60)
    assert load.failures == [], pair.log.read_text()


def test_restarting_each_under_load_fails_no_request(pair: Pair) -> None:
    with Load(pair.url, (READ, SYNC)) as load:
        load.wait_for_answers(40)
        for command in ("restart", "rolling-restart"):
            for instance in ("backend:0", "backend:1"):
                pair.supervise(command, instance)
                load.wait_for_answers(40)
    assert load.failures == [], pair.log.read_text()


def test_the_other_takes_over_when_one_is_killed(pair: Pair) -> None:
    with Load(pair.url) as load:
        load.wait_for_answers(40)
        for _ in range(3):
            pair.supervise("signal", "backend:1", "KILL")
            load.wait_for_answers(40)
            pair.until("ready", "ready")
    log = pair.log.read_text()
    # A request that it had read when it was killed is not retried, since it might kill the other too: at most
    # one request of each client, three times. A request that was not read is retried.
    assert set(load.failures) <= {f"{' '.join(READ)}: 502"}, log
    assert len(load.failures) <= 3 * load.clients, log
    reasons = (
        "its content is incomplete",
        "the backend closed the connection without a response",
    )
    assert bool(load.failures) == any(reason in log for reason in reasons), log
    assert "backend instance drained: no new requests" in log
