"""A database that is away: clear answers, and recovery without a restart."""

import logging
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import ADMIN
from tests.support.postgres import Cluster
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

LOGIN = {"username": ADMIN[0], "password": ADMIN[1]}


@pytest.fixture
def away(cluster: Cluster, dsn: str) -> Iterator[Cluster]:
    """The cluster, to be paused; it is back at the end."""
    yield cluster
    assert dsn
    cluster.ensure_running()


def test_ready_says_what_is_checked(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/health/ready")
    assert answer.status_code == httpx.codes.OK
    checks = {"backend": "ok", "database": "ok", "migrations": "ok"}
    assert answer.json() == {"status": "ready", "checks": checks}


def test_a_database_without_tables_is_not_ready(cluster: Cluster) -> None:
    name = cluster.create()
    with RunningServer(cluster.dsn(name)) as server, server.client() as client:
        answer = client.get("/health/ready")
    cluster.drop(name)
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert answer.json()["checks"]["migrations"] == "pending"


def test_an_outage_is_answered_logged_once_and_recovered_from(
    away: Cluster, server: RunningServer, anonymous: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert anonymous.post("/api/v1/auth/login", json=LOGIN).status_code == httpx.codes.OK
    mac = SimulatedMac(server.url)
    mac.sync()
    away.pause()
    caplog.set_level(logging.INFO)
    for _ in range(2):
        refused = anonymous.get("/api/v1/machines")
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["retry-after"]
        assert mac.post_raw("preflight", b'{"serial_num":"S"}').status_code == httpx.codes.SERVICE_UNAVAILABLE
    down = anonymous.get("/health/ready")
    assert down.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert down.json()["checks"] == {"backend": "ok", "database": "failed", "migrations": "unknown"}
    away.resume()
    assert mac.sync().kind == "NORMAL"
    assert anonymous.get("/api/v1/machines").status_code == httpx.codes.OK
    mac.close()
    lines = [record.message for record in caplog.records if record.name == "santaserver.db"]
    assert sum("unreachable" in line for line in lines) == 1
    assert sum("reachable again" in line for line in lines) == 1


def test_a_start_without_a_database_serves_as_soon_as_there_is_one(away: Cluster, dsn: str) -> None:
    away.pause()
    with RunningServer(dsn) as server, server.client() as client:
        refused = client.post("/api/v1/auth/login", json=LOGIN)
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        away.resume()
        assert client.post("/api/v1/auth/login", json=LOGIN).status_code == httpx.codes.OK


def test_a_crash_is_answered_as_a_problem(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("made to fail")

    monkeypatch.setattr("santaserver.rules.repository.progress", broken)
    rule = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
    answer = admin.post("/api/v1/rules", json=rule)
    assert answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    assert answer.headers["content-type"] == "application/problem+json"
    assert "made to fail" not in answer.text
    monkeypatch.undo()
    assert admin.get("/api/v1/rules").json()["items"] == [], "a failed request leaves nothing behind"
    assert server.url
