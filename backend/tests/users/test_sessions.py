"""Sessions: listed, ended, and believed only while nobody has ended them."""

import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from santaserver.users.session_watch import SessionWatch
from tests.conftest import ADMIN
from tests.support.postgres import execute, value
from tests.support.server import RunningServer
from tests.users.test_login import LOGIN, assert_ends


@pytest.fixture
def second(server: RunningServer) -> Iterator[RunningServer]:
    """Another worker on the same database."""
    with RunningServer(server.dsn) as running:
        yield running


@pytest.mark.parametrize("ending", ["log out", "end it by its id", "end all others"])
def test_a_worker_ends_a_session_before_it_hears_of_it(
    server: RunningServer, viewer: httpx.Client, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionWatch, "_heard", lambda *_: None)
    with RunningServer(server.dsn) as deaf, deaf.client() as stolen, deaf.client() as owner:
        stolen.cookies.set("santa_session", viewer.cookies["santa_session"])
        owner.post("/api/v1/auth/login", json={"username": "viewer", "password": ADMIN[1]})
        assert stolen.get("/api/v1/auth/me").status_code == httpx.codes.OK
        if ending == "log out":
            stolen.post("/api/v1/auth/logout")
            stolen.cookies.set("santa_session", viewer.cookies["santa_session"])
        elif ending == "end it by its id":
            items = owner.get("/api/v1/sessions").json()["items"]
            other = next(item["id"] for item in items if not item["current"])
            owner.delete(f"/api/v1/sessions/{other}")
        else:
            assert owner.delete("/api/v1/sessions").json() == {"ended": 1}
        assert stolen.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED
        assert owner.get("/api/v1/auth/me").status_code == httpx.codes.OK


def test_everybody_sees_and_ends_their_own_sessions(
    server: RunningServer, admin: httpx.Client, viewer: httpx.Client
) -> None:
    with server.client(**{"User-Agent": "Elsewhere/1", "X-Real-IP": "192.0.2.9"}) as elsewhere:
        login = {"username": "viewer", "password": ADMIN[1]}
        assert elsewhere.post("/api/v1/auth/login", json=login).status_code == httpx.codes.OK
        items = viewer.get("/api/v1/sessions").json()["items"]
        assert {(item["username"], item["current"]) for item in items} == {
            ("viewer", True),
            ("viewer", False),
        }
        other = next(item for item in items if not item["current"])
        assert (other["user_agent"], other["address"]) == ("Elsewhere/1", "192.0.2.9")
        assert "id_hash" not in other
        assert viewer.delete(f"/api/v1/sessions/{other['id']}").status_code == httpx.codes.NO_CONTENT
        assert_ends(elsewhere)
    assert viewer.get("/api/v1/sessions?everybody=true").status_code == httpx.codes.FORBIDDEN
    assert viewer.get("/api/v1/sessions?username=admin").status_code == httpx.codes.FORBIDDEN
    assert viewer.delete("/api/v1/sessions?username=admin").status_code == httpx.codes.FORBIDDEN
    admins = admin.get("/api/v1/sessions").json()["items"][0]["id"]
    assert viewer.delete(f"/api/v1/sessions/{admins}").status_code == httpx.codes.NOT_FOUND
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK


def test_an_administrator_ends_the_sessions_of_others(admin: httpx.Client, viewer: httpx.Client) -> None:
    everybody = admin.get("/api/v1/sessions?everybody=true").json()["items"]
    assert {item["username"] for item in everybody} == {"admin", "viewer"}
    assert admin.delete("/api/v1/sessions?username=viewer").json() == {"ended": 1}
    assert_ends(viewer)
    assert admin.delete("/api/v1/sessions").json() == {"ended": 0}, "the one that asks stays"
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK


@pytest.mark.parametrize(
    "statement",
    [
        "delete from user_session",
        "update app_user set disabled_at = now()",
        "update user_session set expires_at = now()",
        "delete from app_user",
    ],
)
def test_whatever_ends_a_session_ends_it_in_every_worker(
    server: RunningServer, second: RunningServer, admin: httpx.Client, statement: str
) -> None:
    with second.client() as there:
        there.cookies.set("santa_session", admin.cookies["santa_session"])
        for client in (admin, there):
            assert client.get("/api/v1/auth/me").status_code == httpx.codes.OK
        remembered(server)
        remembered(second)
        execute(server.dsn, statement)
        for client in (admin, there):
            assert_ends(client)


def remembered(server: RunningServer) -> None:
    """Wait until a worker serves cached sessions, which needs its LISTEN connection."""
    watch = server.app.state.santa.sessions.watch
    deadline = time.monotonic() + 20
    while watch._confirmed_at < 0:
        watch._used = True
        assert time.monotonic() < deadline, "the worker never believes what it remembers"
        time.sleep(0.02)


def test_a_role_that_is_taken_away_is_taken_away_at_once(server: RunningServer, admin: httpx.Client) -> None:
    remembered(server)
    assert admin.get("/api/v1/auth/me").json()["role"] == "admin"
    execute(server.dsn, "update binding set role = 'viewer'")
    deadline = time.monotonic() + 10
    while admin.get("/api/v1/auth/me").json()["role"] != "viewer":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_dead_line_makes_a_worker_ask_again(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered(server)
    monkeypatch.setattr("santaserver.users.session_watch.PROBE", 3600.0)
    monkeypatch.setattr("santaserver.users.session_watch.RETRY", 3600.0)
    watch = server.app.state.santa.sessions.watch
    monkeypatch.setattr(type(watch), "_heard", lambda *_: None)
    execute(server.dsn, "delete from user_session")
    assert_ends(admin)


def test_a_session_that_is_remembered_costs_the_database_nothing(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered(server)
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK
    lent: list[object] = []
    lend = server.app.state.santa.database._rest.connection

    def counting(key: object = None) -> object:
        lent.append(key)
        return lend(key)

    monkeypatch.setattr(server.app.state.santa.database._rest, "connection", counting)
    for _ in range(50):
        assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK
    assert len(lent) < 25


def test_sessions_are_listed_and_ended_from_the_command_line(
    server: RunningServer, admin: httpx.Client
) -> None:
    def run(*words: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "santaserver", *words],
            env={"DATABASE_URL": server.dsn, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    listed = run("sessions", "--user", "Admin").splitlines()
    assert [line.split("\t")[1] for line in listed] == ["admin"]
    assert run("sessions", "--user", "nobody") == ""
    number = value(server.dsn, "select id from user_session")
    assert "1 sessions" in run("revoke-sessions", "--id", str(number))
    assert_ends(admin)
    with server.client() as client:
        assert client.post("/api/v1/auth/login", json=LOGIN).status_code == httpx.codes.OK
        assert "1 sessions" in run("revoke-sessions", "--user", "ADMIN")
        assert_ends(client)
