"""Whatever the OpenAPI document allows, and what it does not, is never answered with a crash."""

import json
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

from tests.conftest import ADMIN
from tests.support.postgres import Cluster
from tests.support.server import RunningServer

DOCUMENT = json.loads((Path(__file__).parents[1] / "openapi.json").read_text())
EXAMPLES = 10
"""Requests of each kind to each endpoint; the whole file takes less than a minute."""

FUZZING = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def operations() -> list[Any]:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    found = list(schema.get_all_operations())
    assert all(isinstance(result, Ok) for result in found)
    return [result.ok() for result in found if isinstance(result, Ok)]


@pytest.fixture(scope="module")
def fuzzed(cluster: Cluster, template: str) -> Iterator[RunningServer]:
    """One server for all endpoints: they may disturb each other as they like."""
    name = cluster.create(template)
    with RunningServer(cluster.dsn(name)) as running:
        yield running
    cluster.drop(name)


@pytest.fixture
def session(fuzzed: RunningServer) -> dict[str, str]:
    """The cookie of an administrator who is logged in."""
    with fuzzed.client() as client:
        login = {"username": ADMIN[0], "password": ADMIN[1]}
        cookie = client.post("/api/v1/auth/login", json=login).headers["set-cookie"].partition(";")[0]
        me = client.get("/api/v1/auth/me", headers={"Cookie": cookie})
        assert me.status_code == httpx.codes.OK
    name, _, value = cookie.partition("=")
    return {name: value}


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label)
def test_no_request_makes_an_endpoint_crash(
    fuzzed: RunningServer,
    session: dict[str, str],
    operation: Any,  # noqa: ANN401
) -> None:
    def attack(mode: GenerationMode) -> None:
        @FUZZING
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:  # noqa: ANN401
            answer = case.call(
                base_url=fuzzed.url, cookies=session, headers={"Origin": "http://testserver"}, timeout=20
            )
            assert answer.status_code < 500, f"{case.as_curl_command()}: {answer.text}"

        run()

    attack(GenerationMode.POSITIVE)
    with suppress(Unsatisfiable):  # an endpoint without any input takes no wrong one
        attack(GenerationMode.NEGATIVE)
