"""No value at any place of a request makes an endpoint crash."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import ADMIN, add_viewer
from tests.support.odd_values import Call, calls, misspelled
from tests.support.postgres import Cluster
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

DOCUMENT = json.loads((Path(__file__).parents[1] / "openapi.json").read_text())
CALLS = list(calls(DOCUMENT))
FOR_PROVIDERS = ("/oidc/callback", "/oidc/backchannel", "/oidc/frontchannel")
"""Identity providers may send more than is known here."""
MISSPELLED = [(call, field) for call, field in misspelled(DOCUMENT) if not call.path.endswith(FOR_PROVIDERS)]
PATHS = sorted(DOCUMENT["paths"])


@pytest.fixture(scope="module")
def running(cluster: Cluster, template: str) -> Iterator[RunningServer]:
    """One server for all requests, with a Mac, a rule and an event."""
    name = cluster.create(template)
    with RunningServer(cluster.dsn(name)) as server:
        mac = SimulatedMac(server.url, machine_id="ODD-1")
        mac.sync()
        mac.block("Odd")
        mac.close()
        add_viewer(server.dsn)
        yield server
    cluster.drop(name)


@contextmanager
def logged_in(server: RunningServer, who: str) -> Iterator[httpx.Client]:
    with server.client() as client:
        if who != "nobody":
            login = client.post("/api/v1/auth/login", json={"username": who, "password": ADMIN[1]})
            assert login.status_code == httpx.codes.OK
        yield client


@pytest.fixture(scope="module")
def signed_in(running: RunningServer) -> Iterator[httpx.Client]:
    """An administrator."""
    with logged_in(running, "admin") as client:
        yield client


def send(client: httpx.Client, call: Call) -> httpx.Response:
    query = "&".join(f"{name}={text}" for name, text in call.query.items())
    url = f"{call.path}?{query}" if query else call.path
    headers = {b"Content-Type": b"application/json", **{k.encode(): v for k, v in call.headers.items()}}
    return client.request(call.method, url, content=call.body, headers=headers)


def crashes(client: httpx.Client, path: str) -> list[str]:
    found = []
    for call in (call for call in CALLS if matches(path, call)):
        response = send(client, call)
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            found.append(f"{call.method} {call.path} {call.odd}: {response.text}")
    return found


def matches(path: str, call: Call) -> bool:
    parts, others = path.split("/"), call.path.split("/")
    return len(parts) == len(others) and all(
        part == other or part.startswith("{") for part, other in zip(parts, others, strict=True)
    )


@pytest.mark.parametrize("who", ["admin", "viewer", "nobody"])
@pytest.mark.parametrize("path", PATHS)
def test_no_odd_value_crashes_an_endpoint(running: RunningServer, path: str, who: str) -> None:
    with logged_in(running, who) as client:
        assert crashes(client, path) == []


def test_every_endpoint_with_input_gets_odd_values() -> None:
    expected = {
        (method.upper(), path)
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if operation.get("parameters") or operation.get("requestBody")
    }
    asked = {(call.method, path) for path in PATHS for call in CALLS if matches(path, call)}
    assert expected <= asked


@pytest.mark.parametrize(
    ("call", "field"), MISSPELLED, ids=[f"{call.odd} {field}" for call, field in MISSPELLED]
)
def test_a_misspelled_name_is_refused_by_name(signed_in: httpx.Client, call: Call, field: str) -> None:
    response = send(signed_in, call)
    assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY, response.text
    problems = {item["field"]: item["message"] for item in response.json()["errors"]}
    assert problems[field] == "Unknown field"
