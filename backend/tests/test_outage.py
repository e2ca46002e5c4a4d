"""An unreachable database: clear responses, and recovery without a restart."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import asyncpg
import httpx
import pytest

from santaserver.postgres.failures import ConnectError, OutageLog, is_outage
from tests.conftest import ADMIN
from tests.support.fake_postgres import Forwarder, refusing
from tests.support.postgres import Cluster, execute, held, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

LOGIN = {"username": ADMIN[0], "password": ADMIN[1]}
END_ALL = """select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid()"""
RULE = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
REFUSALS = [
    ("57P03", "the database system is starting up"),
    ("57P03", "the database system is not yet accepting connections"),
    ("57P03", "the database system is shutting down"),
    ("57P01", "terminating connection due to administrator command"),
    ("53300", "sorry, too many clients already"),
    ("28P01", 'password authentication failed for user "santa"'),
    ("28000", 'role "santa" is not permitted to log in'),
    ("3D000", 'database "santa" does not exist'),
    ("08P01", "server login has been failing, try again later"),
]


@pytest.fixture
def away(cluster: Cluster, dsn: str) -> Iterator[Cluster]:
    """The cluster, to be paused; it is back at the end."""
    yield cluster
    assert dsn
    cluster.ensure_running()


def test_ready_says_what_is_checked(anonymous: httpx.Client) -> None:
    response = anonymous.get("/health/ready")
    assert response.status_code == httpx.codes.OK
    checks = {"backend": "ok", "database": "ok", "migrations": "ok"}
    assert response.json() == {"status": "ready", "checks": checks}


def test_a_database_without_tables_is_not_ready(cluster: Cluster) -> None:
    name = cluster.create()
    with RunningServer(cluster.dsn(name)) as server, server.client() as client:
        response = client.get("/health/ready")
    cluster.drop(name)
    assert response.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert response.json()["checks"]["migrations"] == "pending"


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
    assert sum("unavailable" in line for line in lines) == 1
    assert sum("available again" in line for line in lines) == 1


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
    response = admin.post("/api/v1/rules", json=rule)
    assert response.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    assert response.headers["content-type"] == "application/problem+json"
    assert "made to fail" not in response.text
    monkeypatch.undo()
    assert admin.get("/api/v1/rules").json()["items"] == [], "a failed request leaves nothing behind"
    assert server.url


def one_of_each(client: httpx.Client, mac: SimulatedMac) -> list[int]:
    """Ask for everything that has connections of its own."""
    return [
        client.get("/api/v1/rules").status_code,
        client.get("/api/v1/programs").status_code,
        client.get("/health/ready").status_code,
        mac.post_raw("preflight", b'{"serial_num":"S"}').status_code,
        mac.post_raw("eventupload", b'{"events":[]}').status_code,
    ]


def end_all(dsn: str) -> None:
    """End every connection to the database, and wait until they are gone."""
    execute(dsn, END_ALL)
    others = (
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    deadline = time.monotonic() + 30
    # The server's own LISTEN connection may have come back.
    while value(dsn, others) > 1:
        assert time.monotonic() < deadline, "connections are still there"


def test_connections_that_the_server_ended_cost_no_request(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    for _ in range(2):
        with ThreadPoolExecutor(12) as together:
            list(together.map(lambda _: one_of_each(admin, mac), range(12)))
        end_all(server.dsn)
        assert [one_of_each(admin, mac) for _ in range(12)] == [[200] * 5] * 12


def test_a_restart_of_the_database_costs_no_request_once_it_is_back(
    away: Cluster, admin: httpx.Client, mac: SimulatedMac
) -> None:
    with ThreadPoolExecutor(12) as together:
        list(together.map(lambda _: one_of_each(admin, mac), range(12)))
    away.pause()
    away.resume()
    assert [one_of_each(admin, mac) for _ in range(12)] == [[200] * 5] * 12


def test_connections_that_went_dead_without_a_word_are_replaced_within_the_request(
    cluster: Cluster, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("santaserver.postgres.pool.CHECK_TIMEOUT", 0.3)
    monkeypatch.setattr("santaserver.health.router.DEADLINE", 30.0)  # this machine may be busy
    monkeypatch.setattr("santaserver.db.TRUSTED_FOR", 0.0)  # however lately they were used
    forwarder = Forwarder(tmp_path, cluster.folder)
    try:
        with (
            RunningServer(dsn.replace(str(cluster.folder), str(tmp_path))) as server,
            server.client() as client,
        ):
            assert client.post("/api/v1/auth/login", json=LOGIN).status_code == httpx.codes.OK
            with closing(SimulatedMac(server.url)) as mac:
                with ThreadPoolExecutor(8) as together:
                    list(together.map(lambda _: one_of_each(client, mac), range(8)))
                forwarder.cut()
                assert one_of_each(client, mac) == [200] * 5
                assert one_of_each(client, mac) == [200] * 5
    finally:
        forwarder.stop()


@pytest.mark.parametrize(("state", "text"), REFUSALS)
def test_a_server_that_refuses_connections_is_an_outage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, state: str, text: str
) -> None:
    caplog.set_level(logging.INFO)
    dsn = f"postgresql://santa@/x?host={tmp_path}"
    with refusing(tmp_path, state, text), RunningServer(dsn) as server, server.client() as client:
        responses = [client.post("/api/v1/auth/login", json=LOGIN)]
        responses.append(client.get("/api/v1/rules", headers={"Cookie": "santa_session=x"}))
        responses += [client.post("/api/santa/preflight/M", json={}) for _ in range(3)]
        ready = client.get("/health/ready")
    assert [response.status_code for response in responses] == [503] * 5
    assert all(int(response.headers["retry-after"]) > 0 for response in responses)
    assert ready.json()["checks"]["database"] == "failed"
    shown = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in shown] == ["santaserver.db"], [record.getMessage() for record in shown]
    assert text in shown[0].getMessage()
    assert shown[0].exc_info is None


def test_statements_that_the_server_breaks_off_are_answered_503_without_a_traceback(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    results: list[int] = []

    def ask(number: int) -> None:
        if number % 3 == 0:
            response = admin.post("/api/v1/rules", json=RULE | {"identifier": f"ABCDEFG{number:03}"})
        elif number % 3 == 1:
            response = mac.post_raw("preflight", b'{"serial_num":"S"}')
        else:
            response = admin.get("/api/v1/machines")
        results.append(response.status_code)

    with held(server.dsn, "lock table policy_head, machine in access exclusive mode") as holder:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        holder.until(lambda: value(server.dsn, waiting) >= 4)
        execute(server.dsn, END_ALL)
    for thread in threads:
        thread.join(30)
    assert results
    assert set(results) <= {200, 201, 503}
    assert 503 in results
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert one_of_each(admin, mac) == [200] * 5


def test_a_statement_that_takes_too_long_is_no_outage(
    dsn: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("santaserver.db.COMMAND_TIMEOUT", 0.5)
    with RunningServer(dsn) as server, server.client() as admin:
        assert admin.post("/api/v1/auth/login", json=LOGIN).status_code == httpx.codes.OK
        with held(dsn, "lock table machine in access exclusive mode"):
            response = admin.get("/api/v1/machines")
        assert not server.app.state.santa.database.outages.ongoing
        assert admin.get("/api/v1/machines").status_code == httpx.codes.OK
    assert response.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "in time" in response.json()["detail"]
    assert not [record for record in caplog.records if "unavailable" in record.getMessage()]


def test_a_number_that_no_column_holds_is_no_outage() -> None:
    error = asyncpg.DataError("invalid input for query argument $1: 'closed' (value out of int64 range)")
    assert not is_outage(error)
    assert not is_outage(asyncpg.InterfaceError("cannot perform operation: another operation is in progress"))
    assert is_outage(asyncpg.InterfaceError("connection is closed"))
    assert is_outage(asyncpg.InternalClientError("got result for unknown protocol state 1"))
    assert is_outage(ConnectionResetError())
    assert not is_outage(asyncpg.UniqueViolationError("x"))


def test_a_strangers_request_takes_no_connection(
    server: RunningServer, anonymous: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []
    monkeypatch.setattr(server.app.state.santa.database._rest, "connection", lambda *a, **_: taken.append(a))
    for path in (
        "auth/me",
        "rules",
        "rules/1",
        "machines",
        "programs",
        "events",
        "overview",
        "tags",
        "enrollments",
    ):
        assert anonymous.get(f"/api/v1/{path}").status_code == httpx.codes.UNAUTHORIZED, path
    assert anonymous.post("/api/v1/rules", json=RULE).status_code == httpx.codes.UNAUTHORIZED
    assert anonymous.post("/api/v1/auth/logout").status_code == httpx.codes.NO_CONTENT
    assert taken == []


def test_one_line_a_minute_tells_of_an_outage_and_one_of_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 1000.0
    outages = OutageLog(lambda: now)
    error = ConnectError()
    error.__cause__ = asyncpg.TooManyConnectionsError("sorry, too many clients already")
    for _ in range(600):  # ten a second, every third request succeeds
        outages.failed(error)
        outages.failed(error)
        now += 0.1
        outages.worked(now)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("unavailable" in line for line in lines) == 1
    assert sum("available again" in line for line in lines) == 1
    now += 30
    outages.failed(error)
    assert "more since the last line" in caplog.records[-1].getMessage()
    assert "max_connections" in caplog.records[-1].getMessage()
