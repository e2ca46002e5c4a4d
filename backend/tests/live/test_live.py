"""The live channel."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from santaserver.accounts import create_admin
from santaserver.errors import DatabaseUnavailable
from santaserver.settings import load
from santaserver.users.session_watch import SessionWatch
from santaserver.users.sessions import Sessions
from tests.conftest import ADMIN
from tests.live.sockets import WAIT, closed, listen, receive, socket
from tests.support.postgres import execute
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


def test_syncs_blocks_and_rules_are_told(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    with socket(server, admin) as made:
        assert listen(made, "hello")["at"]
        mac.sync()
        assert listen(made, "machine")["change"] == "enrolled"
        summaries = [listen(made, "syncs")]
        while not sum(told["finished"] for told in summaries):
            summaries.append(listen(made, "syncs"))
        assert (
            sum(told["started"] for told in summaries)
            == sum(told["kinds"]["clean"] for told in summaries)
            == 1
        )
        assert {(told["machines"], told["changed"], told["refused"]) for told in summaries} == {(1, 1, 0)}
        mac.block("Evil")
        shown = listen(made, "event")["event"]
        assert shown == admin.get("/api/v1/events").json()["items"][0]
        mac.block("Fine", decision="ALLOW_UNKNOWN")
        assert listen(made, "event")["event"]["decision"] == "ALLOW_UNKNOWN"
        mac.block("Known", decision="ALLOW_TEAMID")
        summary = listen(made, "event")
        assert (summary["event"], summary["count"]) == (None, 1)
        rule = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
        created = admin.post("/api/v1/rules", json=rule).json()
        told = listen(made, "rule")
        assert (told["action"], told["rule"]) == ("created", created)


def burst_event(number: int) -> dict[str, Any]:
    return {
        "file_sha256": f"{number:064x}",
        "file_path": "/usr/local/bin",
        "file_name": f"burst-{number}",
        "execution_time": 1_763_900_000 + number,
        "decision": ("ALLOW_UNKNOWN", "BLOCK_UNKNOWN", "ALLOW_TEAMID")[number % 3],
        "pid": number,
    }


def test_a_burst_is_told_to_the_last_event(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    with socket(server, admin) as made:
        listen(made, "hello")
        for _ in range(2):  # the second time nothing of it is new
            events = [burst_event(n) for n in range(232)]
            mac.post("eventupload", {"events": events})
        mac.block("Last")
        told, last = 0, None
        while last != "Last":
            news = listen(made, "event")
            told += news["count"]
            last = news["event"]["file_name"] if news["event"] else last
        assert told == 232 + 1


def test_a_repeated_upload_is_told_once(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    with socket(server, admin) as made:
        listen(made, "hello")
        mac.block("Evil")
        mac.block("Evil")
        mac.block("Other")
        assert [listen(made, "event")["event"]["file_name"] for _ in range(2)] == ["Evil", "Other"]


@pytest.mark.parametrize(
    ("logged_in", "origin", "code"), [(False, None, 4401), (True, "https://evil.example.com", 4403)]
)
def test_strangers_are_turned_away_with_a_reason(
    server: RunningServer, admin: httpx.Client, logged_in: bool, origin: str | None, code: int
) -> None:
    with socket(server, admin if logged_in else None, origin) as made:
        closed(made)
    assert made.close_code == code


def end_by_logout(_: RunningServer, admin: httpx.Client) -> None:
    assert admin.post("/api/v1/auth/logout").status_code == httpx.codes.NO_CONTENT


def end_by_id(_: RunningServer, admin: httpx.Client) -> None:
    (session,) = admin.get("/api/v1/sessions").json()["items"]
    assert admin.delete(f"/api/v1/sessions/{session['id']}").status_code == httpx.codes.NO_CONTENT


def end_by_a_new_password(server: RunningServer, _: httpx.Client) -> None:
    asyncio.run(create_admin(load({"DATABASE_URL": server.dsn}), ADMIN[0], "another correct battery"))


def end_by_disabling(server: RunningServer, _: httpx.Client) -> None:
    execute(server.dsn, "update app_user set disabled_at = now()")


def end_by_time(server: RunningServer, _: httpx.Client) -> None:
    server.clock.advance(hours=721)


@pytest.mark.parametrize(
    "end", [end_by_logout, end_by_id, end_by_a_new_password, end_by_disabling, end_by_time]
)
def test_a_session_that_ends_closes_its_sockets(
    server: RunningServer, admin: httpx.Client, end: Callable[[RunningServer, httpx.Client], None]
) -> None:
    with socket(server, admin) as one, socket(server, admin) as two:
        for made in (one, two):
            listen(made, "hello")
        end(server, admin)
        for made in (one, two):
            assert_closes(made, 4401)


def test_a_session_that_ends_closes_its_sockets_at_other_workers(dsn: str) -> None:
    with RunningServer(dsn) as here, RunningServer(dsn) as there, there.client() as admin:
        login = {"username": ADMIN[0], "password": ADMIN[1]}
        assert admin.post("/api/v1/auth/login", json=login).status_code == httpx.codes.OK
        with here.client() as other, socket(here, admin) as made:
            assert other.post("/api/v1/auth/login", json=login).status_code == httpx.codes.OK
            listen(made, "hello")
            with socket(here, other) as stays:
                listen(stays, "hello")
                assert admin.post("/api/v1/auth/logout").status_code == httpx.codes.NO_CONTENT
                assert_closes(made, 4401)
                assert stays.close_code is None


def test_a_session_that_ends_closes_its_sockets_where_notifications_do_not_arrive(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionWatch, "_heard", lambda *_: None)
    with socket(server, admin) as made:
        listen(made, "hello")
        end_by_logout(server, admin)
        assert_closes(made, 4401)


def test_a_socket_outlives_a_moment_in_which_sessions_cannot_be_looked_up(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Semaphore(0)

    async def away(*_: object, **__: object) -> None:
        asked.release()
        raise DatabaseUnavailable

    with socket(server, admin) as made:
        listen(made, "hello")
        with monkeypatch.context() as outage:
            outage.setattr(Sessions, "user_of", away)
            for _ in range(2):
                assert asked.acquire(timeout=WAIT)
        mac.sync()
        assert listen(made, "syncs")
        with monkeypatch.context() as outage:
            outage.setattr(Sessions, "user_of", away)
            outage.setattr("santaserver.live.router.UNCHECKED", 0.0)
            assert_closes(made, 1013)


def assert_closes(made: ClientConnection, code: int) -> None:
    with pytest.raises(ConnectionClosed):
        listen(made, "goodbye")
    assert made.close_code == code
    assert made.close_reason


def test_news_reaches_the_browsers_of_other_workers(dsn: str) -> None:
    with RunningServer(dsn) as here, RunningServer(dsn) as there, there.client() as admin:
        login = admin.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
        assert login.status_code == httpx.codes.OK
        mac = SimulatedMac(here.url)
        with socket(there, admin) as made:
            listen(made, "hello")
            told = None
            for number in range(100):
                mac.block(f"Evil{number}", 1_763_900_000 + number)
                try:
                    told = json.loads(made.recv(timeout=0.2))
                except TimeoutError:
                    continue
                if told["type"] in {"event", "lagged"}:
                    break
            assert told is not None
            assert told["type"] in {"event", "lagged"}
        mac.close()


def test_a_stop_ends_open_sockets(dsn: str) -> None:
    with RunningServer(dsn) as server, server.client() as admin:
        admin.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
        with socket(server, admin) as made:
            listen(made, "hello")
            server.stop()
            closed(made)
            assert made.close_code == 1012


@pytest.mark.parametrize("ago", ["30", "nan", "-1", "x", "1e9"])
def test_news_of_before_is_told_or_is_said_to_be_missing(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, ago: str
) -> None:
    mac.sync()
    with socket(server, admin, query=f"?ago={ago}") as made:
        assert receive(made)["type"] == "hello"
        listen(made, "lagged")  # the server is younger than that
    with socket(server, admin, query="?ago=0.001") as made:
        listen(made, "hello")
        mac.sync()
        assert listen(made, "syncs")


def test_a_failure_of_the_server_ends_a_socket_with_a_code(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> bool:
        raise ConnectionResetError("the database went away in a way that nobody thought of")

    monkeypatch.setattr("santaserver.live.router._admission", broken)
    with socket(server, admin) as made:
        closed(made)
    assert made.close_code == 1011
