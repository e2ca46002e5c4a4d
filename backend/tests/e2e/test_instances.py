"""Two instances of the backend under santa-supervise: either may end at any moment."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.chain import Pair
from tests.e2e.conftest import Deployment
from tests.e2e.load import READ, SYNC, Load
from tests.support import secrets


@pytest.fixture(scope="module")
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
    pair.until("ready", "ready")
    with Load(pair.url, (READ, SYNC)) as load:
        load.wait_for_answers(40)
        for instance in ("backend:0", "backend:1"):
            pair.supervise("stop", instance)
            load.wait_for_answers(60)
            pair.supervise("start", instance)
            load.wait_for_answers(60)
    assert load.failures == [], pair.log.read_text()


def test_restarting_each_under_load_fails_no_request(pair: Pair) -> None:
    pair.until("ready", "ready")
    with Load(pair.url, (READ, SYNC)) as load:
        load.wait_for_answers(40)
        for command in ("restart", "rolling-restart"):
            for instance in ("backend:0", "backend:1"):
                pair.supervise(command, instance)
                load.wait_for_answers(40)
    assert load.failures == [], pair.log.read_text()


def test_the_other_takes_over_when_one_is_killed(pair: Pair) -> None:
    pair.until("ready", "ready")
    before = len(pair.log.read_text())
    with Load(pair.url) as load:
        load.wait_for_answers(40)
        for _ in range(2):
            pair.supervise("signal", "backend:1", "KILL")
            load.wait_for_answers(40)
            pair.until("ready", "ready")
    log = pair.log.read_text()[before:]
    # A request that it had read when it was killed is not retried, since it might kill the other too: at most
    # one request of each client, twice. A request that was not read is retried.
    assert set(load.failures) <= {f"{' '.join(READ)}: 502"}, log
    assert len(load.failures) <= 2 * load.clients, log
    reasons = (
        "its content is incomplete",
        "the backend closed the connection without a response",
    )
    assert bool(load.failures) == any(reason in log for reason in reasons), log
    assert "backend instance drained: no new requests" in log
