"""No request, valid by the OpenAPI document or not, makes an endpoint crash.

For a long run: FUZZ_MINUTES=60 python -m pytest tests/test_fuzz.py -k admin (or viewer, or nobody).
Its requests differ from run to run; a failure prints the request as a curl command.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from tests.conftest import ADMIN, add_viewer
from tests.support.postgres import Cluster, execute
from tests.support.server import RunningServer

DOCUMENT = json.loads((Path(__file__).parents[1] / "openapi.json").read_text())
MINUTES = float(os.environ.get("FUZZ_MINUTES", "0"))
"""For all endpoints together; by default one small round, which is always the same."""
WHO = {"admin": 10, "viewer": 4, "nobody": 4}
"""Who asks, and how many requests of each kind a round makes to each endpoint."""


def operations() -> list[Any]:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    found = list(schema.get_all_operations())
    assert all(isinstance(result, Ok) for result in found)
    return [result.ok() for result in found if isinstance(result, Ok)]


OPERATIONS = operations()


@pytest.fixture(scope="module")
def fuzzed(cluster: Cluster, template: str) -> Iterator[RunningServer]:
    """One server for all endpoints: they may disturb each other as they like."""
    name = cluster.create(template)
    add_viewer(cluster.dsn(name))
    with RunningServer(cluster.dsn(name)) as running:
        yield running
    cluster.drop(name)


def log_in(server: RunningServer, who: str) -> dict[str, str]:
    """Return the cookie of a logged-in user, whatever wrong passwords were tried before."""
    if who == "nobody":
        return {}
    execute(server.dsn, "delete from login_failure")
    with server.client() as client:
        response = client.post("/api/v1/auth/login", json={"username": who, "password": ADMIN[1]})
        assert response.status_code == httpx.codes.OK, response.text
        assert response.json()["role"] == who
        name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
    return {name: value}


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_request_makes_an_endpoint_crash(
    fuzzed: RunningServer,
    operation: Any,  # noqa: ANN401
    who: str,
) -> None:
    until = time.monotonic() + MINUTES * 60 / len(OPERATIONS)
    attack(fuzzed, operation, who)
    while time.monotonic() < until:
        attack(fuzzed, operation, who)


def attack(server: RunningServer, operation: Any, who: str) -> None:  # noqa: ANN401
    """Send a round of requests; whoever was logged out by one logs in again before the next round."""
    cookies = log_in(server, who)
    fuzzing = settings(
        max_examples=WHO[who],
        deadline=None,
        database=None,
        derandomize=not MINUTES,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    headers = {"Origin": "http://testserver"}

    def send(mode: GenerationMode) -> None:
        # A made-up version would be refused before anything else is looked at.
        sent = headers | ({"If-Match": "*"} if mode is GenerationMode.POSITIVE else {})

        @fuzzing
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:  # noqa: ANN401
            response = case.call(base_url=server.url, cookies=cookies, headers=sent, timeout=20)
            assert response.status_code < 500, f"{case.as_curl_command()}: {response.text}"

        run()

    send(GenerationMode.POSITIVE)
    with suppress(Unsatisfiable):  # an endpoint without any input takes no wrong one
        send(GenerationMode.NEGATIVE)
