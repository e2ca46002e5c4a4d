"""Setup links: how the first administrator, and whoever has no password yet, gets in."""

import io
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from santaserver.__main__ import main
from santaserver.logs import JsonFormatter
from tests.conftest import ADMIN
from tests.support.postgres import execute, fetch, value
from tests.support.server import RunningServer

SETUP = "/api/v1/setup"
PASSWORD = "a long enough password"
LINK = re.compile(r"http://testserver/setup#([0-9a-f]{40})")


class Lines(logging.Handler):
    """What is logged, as production writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def links(self) -> list[str]:
        """Return the secrets of the links."""
        return [found[1] for line in self.lines for found in [LINK.search(line)] if found]


@pytest.fixture
def empty(dsn: str) -> str:
    """A database in which nobody can manage anything."""
    execute(dsn, "delete from app_user")
    return dsn


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What the server says."""
    handler = Lines()
    log = logging.getLogger("santaserver.users.setup_notice")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


def until(condition: Callable[[], Any]) -> None:
    """Wait for something that a task of the server does."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def server(empty: str, lines: Lines) -> Iterator[RunningServer]:
    """A server that nobody can manage yet."""
    with RunningServer(empty) as running:
        until(lines.links)
        yield running


def use(client: httpx.Client, link: str, **fields: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    return client.post(SETUP, json={"secret": link, "username": "Root", "password": PASSWORD, **fields})


def test_the_link_in_the_log_makes_the_first_administrator_once(server: RunningServer, lines: Lines) -> None:
    (secret,) = lines.links()
    assert "30 minutes" in lines.lines[0]
    stored = str(fetch(server.dsn, "select secret_hash from setup_link"))
    assert secret not in stored
    with server.client() as client, server.client() as other:
        offer = client.post(f"{SETUP}/link", json={"secret": secret})
        assert (offer.status_code, offer.json()["username"]) == (200, None)
        done = use(client, secret)
        assert done.status_code == httpx.codes.OK, done.text
        assert (done.json()["username"], done.json()["role"]) == ("root", "admin")
        assert client.get("/api/v1/users").status_code == httpx.codes.OK
        assert use(other, secret, username="eve").status_code == httpx.codes.NOT_FOUND
        login = {"username": "root", "password": PASSWORD}
        assert other.post("/api/v1/auth/login", json=login).status_code == httpx.codes.OK
    entries = fetch(server.dsn, "select action, actor_name from audit_log where id > 1 order by id")
    acts = [(one["action"], one["actor_name"]) for one in entries]
    assert acts[-3:] == [("user_created", "root"), ("login", "root"), ("login", "root")]
    assert value(server.dsn, "select count(*) from setup_link") == 0


def test_two_who_use_the_link_at_the_same_time_are_one_administrator(
    server: RunningServer, lines: Lines
) -> None:
    (secret,) = lines.links()

    def attempt(name: str) -> int:
        with server.client() as client:
            return use(client, secret, username=name).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(attempt, ["one", "two", "three", "four"]))
    assert codes == [200, 404, 404, 404]
    assert value(server.dsn, "select count(*) from app_user") == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"password": "short"}, 422),
        ({"username": None}, 422),
        ({"username": "   "}, 422),
        ({"username": "a\nb"}, 422),
        ({"secret": "0" * 40}, 404),
        ({"secret": ""}, 422),
        ({"role": "admin"}, 422),
    ],
)
def test_a_refused_attempt_leaves_the_link(
    server: RunningServer, lines: Lines, fields: dict[str, Any], status: int
) -> None:
    (secret,) = lines.links()
    with server.client() as client:
        assert use(client, secret, **fields).status_code == status
        assert value(server.dsn, "select count(*) from app_user") == 0
        assert use(client, secret).status_code == httpx.codes.OK


def test_the_link_ends_after_half_an_hour_and_is_new_after_a_restart(
    server: RunningServer, lines: Lines
) -> None:
    (secret,) = lines.links()
    server.clock.advance(minutes=31)
    with server.client() as client:
        assert use(client, secret).status_code == httpx.codes.NOT_FOUND
    server.stop()
    with RunningServer(server.dsn, clock=server.clock) as restarted:
        until(lambda: len(lines.links()) == 2)
        with restarted.client() as client:
            assert use(client, lines.links()[1]).status_code == httpx.codes.OK


def test_a_restart_replaces_the_link(server: RunningServer, lines: Lines) -> None:
    server.stop()
    server.clock.advance(seconds=11)
    with RunningServer(server.dsn, clock=server.clock) as restarted, restarted.client() as client:
        until(lambda: len(lines.links()) == 2)
        first, second = lines.links()
        assert use(client, first).status_code == httpx.codes.NOT_FOUND
        assert use(client, second).status_code == httpx.codes.OK


def test_workers_that_start_together_print_one_link(server: RunningServer, lines: Lines) -> None:
    with RunningServer(server.dsn, clock=server.clock) as other:
        until(other.app.state.santa.announced.is_set)
    assert len(lines.links()) == 1


def test_no_link_where_there_is_an_administrator(dsn: str, lines: Lines) -> None:
    with RunningServer(dsn) as server:
        until(server.app.state.santa.announced.is_set)
    assert lines.lines == []
    assert value(dsn, "select count(*) from setup_link") == 0


def test_an_administrator_from_the_command_line_ends_the_link(
    server: RunningServer, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.dsn)
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD + "\n"))
    assert main(["create-admin", "root", "--password-stdin"]) == 0
    with server.client() as client:
        assert use(client, lines.links()[0], username="eve").status_code == httpx.codes.NOT_FOUND


def test_the_command_prints_another_link(
    server: RunningServer, lines: Lines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.dsn)
    monkeypatch.setenv("PUBLIC_URL", "http://testserver")
    assert main(["setup-link"]) == 0
    found = LINK.search(capsys.readouterr().out)
    assert found
    with server.client() as client:
        assert use(client, lines.links()[0]).status_code == httpx.codes.NOT_FOUND
        assert use(client, found[1]).status_code == httpx.codes.OK
    assert main(["setup-link"]) == 1


def test_guesses_are_slowed_down(server: RunningServer) -> None:
    server.clock.stop()
    with server.client() as client:
        client.headers["X-Real-IP"] = "203.0.113.9"
        codes = [client.post(f"{SETUP}/link", json={"secret": f"{n:040x}"}).status_code for n in range(31)]
    assert codes == [404] * 30 + [429]


# For other users


@pytest.fixture
def managed(dsn: str) -> Iterator[RunningServer]:
    """A server with an administrator."""
    with RunningServer(dsn) as running:
        yield running


@pytest.fixture
def admin(managed: RunningServer) -> Iterator[httpx.Client]:
    """The administrator."""
    with managed.client() as client:
        client.post(
            "/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]}
        ).raise_for_status()
        yield client


def invited(admin: httpx.Client) -> tuple[int, str]:
    """Return a user without a password, and the secret of the link."""
    made = admin.post("/api/v1/users", json={"username": "ada", "roles": [{"role": "viewer"}]})
    assert made.status_code == httpx.codes.CREATED, made.text
    assert (made.json()["has_password"], made.json()["setup_until"]) == (False, None)
    link = admin.post(f"/api/v1/users/{made.json()['id']}/setup-link")
    assert link.status_code == httpx.codes.CREATED, link.text
    found = LINK.fullmatch(link.json()["url"])
    assert found
    return made.json()["id"], found[1]


def test_an_invited_user_chooses_the_password(managed: RunningServer, admin: httpx.Client) -> None:
    number, secret = invited(admin)
    assert admin.get(f"/api/v1/users/{number}").json()["setup_until"] is not None
    with managed.client() as client:
        assert client.post(f"{SETUP}/link", json={"secret": secret}).json()["username"] == "ada"
        done = use(client, secret, username="admin")  # nobody becomes someone else
        assert (done.status_code, done.json()["username"], done.json()["role"]) == (200, "ada", "viewer")
        assert use(client, secret).status_code == httpx.codes.NOT_FOUND
    shown = admin.get(f"/api/v1/users/{number}").json()
    assert (shown["has_password"], shown["setup_until"]) == (True, None)


@pytest.mark.parametrize("way", ["replaced", "expired", "password set", "disabled", "deleted"])
def test_a_link_of_a_user_ends(managed: RunningServer, admin: httpx.Client, way: str) -> None:
    number, secret = invited(admin)
    path = f"/api/v1/users/{number}"
    if way == "replaced":
        admin.post(f"{path}/setup-link").raise_for_status()
    elif way == "expired":
        managed.clock.advance(hours=25)
    elif way == "password set":
        admin.patch(path, json={"password": PASSWORD}).raise_for_status()
    elif way == "disabled":
        admin.patch(path, json={"disabled": True}).raise_for_status()
    else:
        admin.delete(path).raise_for_status()
    with managed.client() as client:
        assert use(client, secret).status_code == httpx.codes.NOT_FOUND


def test_a_link_ends_the_sessions_of_its_user(managed: RunningServer, admin: httpx.Client) -> None:
    number, secret = invited(admin)
    with managed.client() as first, managed.client() as second:
        use(first, secret).raise_for_status()
        again = LINK.fullmatch(admin.post(f"/api/v1/users/{number}/setup-link").json()["url"])
        assert again
        assert first.get("/api/v1/auth/me").status_code == httpx.codes.OK  # the link alone changes nothing
        use(second, again[1], password="another long password").raise_for_status()
        assert first.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED


def test_a_user_who_cannot_log_in_is_not_the_last_administrator(
    managed: RunningServer, admin: httpx.Client
) -> None:
    number, secret = invited(admin)
    own = value(managed.dsn, "select id from app_user where username = 'admin'")
    admin.patch(f"/api/v1/users/{number}", json={"roles": [{"role": "admin"}]}).raise_for_status()
    assert admin.delete(f"/api/v1/users/{own}").status_code == httpx.codes.CONFLICT
    with managed.client() as client:
        use(client, secret).raise_for_status()
        assert client.delete(f"/api/v1/users/{own}").status_code == httpx.codes.NO_CONTENT
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED
    kept = fetch(managed.dsn, "select actor_name from audit_log where action = 'user_created'")
    assert {one["actor_name"] for one in kept} >= {"admin"}
