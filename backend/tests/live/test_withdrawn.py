"""Open sockets of users whose roles change."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.conftest import ADMIN, add_user
from tests.live.sockets import closed, listen, receive, socket
from tests.support.postgres import execute, value
from tests.support.server import RunningServer
from tests.users.test_sessions import remembered

USERS = "/api/v1/users"


@pytest.fixture
def elsewhere(server: RunningServer) -> Iterator[RunningServer]:
    """Another worker on the same database."""
    with RunningServer(server.dsn) as running:
        yield running


@contextmanager
def logged_in(server: RunningServer, name: str) -> Iterator[httpx.Client]:
    with server.client() as client:
        client.post("/api/v1/auth/login", json={"username": name, "password": ADMIN[1]}).raise_for_status()
        yield client


def block(admin: httpx.Client, identifier: str) -> None:
    rule = {"rule_type": "TEAMID", "identifier": identifier, "policy": "BLOCKLIST"}
    admin.post("/api/v1/rules", json=rule).raise_for_status()


def heard(made: ClientConnection) -> list[str]:
    """Return the types of all messages until the socket is closed."""
    types: list[str] = []
    while True:
        try:
            types.append(receive(made)["type"])
        except ConnectionClosed:
            return types


@pytest.mark.parametrize(
    "change",
    [
        {"roles": []},
        {"roles": [{"role": "requester"}]},
        {"disabled": True},
        {"password": "another one, long"},
    ],
)
def test_a_socket_ends_with_what_permits_it(
    server: RunningServer, admin: httpx.Client, change: dict[str, object]
) -> None:
    add_user(server.dsn, "ada", "viewer")
    number = value(server.dsn, "select id from app_user where username = 'ada'")
    with logged_in(server, "ada") as ada, socket(server, ada) as made:
        listen(made, "hello")
        assert admin.patch(f"{USERS}/{number}", json=change).status_code == httpx.codes.OK
        block(admin, "ABCDEFGHIJ")
        assert heard(made) == []
        assert made.close_code == (4403 if "roles" in change else 4401)


@pytest.mark.parametrize("also", [[], [{"role": "viewer"}]])
def test_a_socket_is_narrowed_before_the_next_message(
    server: RunningServer, admin: httpx.Client, also: list[dict[str, str]]
) -> None:
    admin.post("/api/v1/tags", json={"name": "lab"}).raise_for_status()
    add_user(server.dsn, "ada", "viewer")
    number = value(server.dsn, "select id from app_user where username = 'ada'")
    with logged_in(server, "ada") as ada, socket(server, ada) as made:
        listen(made, "hello")
        block(admin, "AAAAAAAAAA")
        listen(made, "rule")
        limited = [{"role": "operator", "tag": "lab"}, *also]
        admin.patch(f"{USERS}/{number}", json={"roles": limited}).raise_for_status()
        block(admin, "BBBBBBBBBB")
        assert set(receive(made)) == {"type", "at", "lost"}
        admin.patch(f"{USERS}/{number}", json={"roles": [{"role": "viewer"}]}).raise_for_status()
        block(admin, "CCCCCCCCCC")
        assert listen(made, "rule")["rule"]["identifier"] == "CCCCCCCCCC"


def test_a_socket_of_another_worker_ends_too(
    server: RunningServer, elsewhere: RunningServer, admin: httpx.Client
) -> None:
    add_user(server.dsn, "ada", "viewer")
    with logged_in(elsewhere, "ada") as ada, socket(elsewhere, ada) as made:
        listen(made, "hello")
        remembered(elsewhere)
        execute(server.dsn, "update binding set role = 'superuser' where role = 'viewer'")
        closed(made)
        assert made.close_code == 4403
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK
