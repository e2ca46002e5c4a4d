"""Users, groups and roles as tests make them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from tests.conftest import ADMIN, add_user
from tests.support.postgres import value
from tests.support.server import RunningServer

Json = dict[str, Any]
USERS, GROUPS, ROLES = "/api/v1/users", "/api/v1/groups", "/api/v1/roles"


def made(client: httpx.Client, path: str, **body: object) -> Any:  # noqa: ANN401 - JSON
    """Create something; return it."""
    response = client.post(path, json=body)
    assert response.status_code == httpx.codes.CREATED, response.text
    return response.json()


def person(server: RunningServer, name: str, role: str | None = None, tag: int | None = None) -> int:
    """Add a user with the administrator's password; return the id."""
    add_user(server.dsn, name, role, tag)
    number: int = value(server.dsn, "select id from app_user where username = $1", name)
    return number


def group_with(admin: httpx.Client, name: str, roles: Sequence[object], members: Sequence[int]) -> int:
    """Make a local group with roles and members; return its id."""
    number: int = made(admin, GROUPS, name=name, roles=roles)["id"]
    for member in members:
        admin.put(f"{GROUPS}/{number}/members/{member}").raise_for_status()
    return number


@contextmanager
def session(server: RunningServer, name: str) -> Iterator[httpx.Client]:
    """Yield a client that is logged in as a user."""
    with server.client() as client:
        answer = client.post("/api/v1/auth/login", json={"username": name, "password": ADMIN[1]})
        assert answer.status_code == httpx.codes.OK, answer.text
        yield client


def permissions(client: httpx.Client) -> Json:
    """Return what a session's user may do, and the tags that limit it."""
    me = client.get("/api/v1/auth/me").json()
    return {name: me["scopes"].get(name) for name in me["permissions"]}
