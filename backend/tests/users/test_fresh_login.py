"""Changes of users, roles and tokens need a login of just now; a session gets another id when it matters."""

from typing import Any

import httpx
import pytest

from tests.conftest import ADMIN, add_user
from tests.support.postgres import fetch, value
from tests.support.server import RunningServer

AGAIN = "/api/v1/auth/reauthenticate"
USER = {"username": "ada", "password": "a long enough password", "roles": []}
COOKIE = "santa_session"


def requests(server: RunningServer, admin: httpx.Client) -> list[tuple[str, str, Any]]:
    user = admin.post("/api/v1/users", json={**USER, "username": "bob"}).json()["id"]
    token = {"name": "ci", "permissions": ["rule:read"], "expires_at": "2030-01-01T00:00:00Z"}
    token["expires_at"] = server.clock().replace(year=server.clock().year + 1, day=1).isoformat()
    made = admin.post("/api/v1/tokens", json=token).json()["token"]["id"]
    return [
        ("POST", "/users", USER),
        ("PATCH", f"/users/{user}", {"roles": [{"role": "viewer"}]}),
        ("POST", f"/users/{user}/setup-link", None),
        ("POST", "/tokens", token | {"name": "cd"}),
        ("POST", f"/tokens/{made}/rotate", {}),
        ("DELETE", f"/tokens/{made}", None),
        ("DELETE", f"/users/{user}", None),
    ]


def test_an_old_login_is_asked_for_the_password_again(server: RunningServer, admin: httpx.Client) -> None:
    wanted = requests(server, admin)
    server.clock.advance(minutes=11)
    size = value(server.dsn, "select size from audit_head")
    for method, path, body in wanted:
        response = admin.request(method, f"/api/v1{path}", json=body)
        assert response.status_code == httpx.codes.FORBIDDEN, (method, path)
        assert response.json()["code"] == "fresh_login_required", (method, path)
    assert value(server.dsn, "select size from audit_head") == size
    assert admin.get("/api/v1/users").status_code == httpx.codes.OK
    assert admin.post(AGAIN, json={"password": ADMIN[1]}).status_code == httpx.codes.NO_CONTENT
    for method, path, body in wanted:
        assert admin.request(method, f"/api/v1{path}", json=body).is_success, (method, path)


def test_proving_it_again_gives_the_session_another_id(server: RunningServer, admin: httpx.Client) -> None:
    before = admin.cookies[COOKIE]
    number = next(one["id"] for one in admin.get("/api/v1/sessions").json()["items"] if one["current"])
    admin.post(AGAIN, json={"password": ADMIN[1]}).raise_for_status()
    after = admin.cookies[COOKIE]
    assert before != after
    items = admin.get("/api/v1/sessions").json()["items"]
    assert [one["id"] for one in items if one["current"]] == [number]
    with server.client() as other:
        other.cookies.set(COOKIE, before)
        assert other.get("/api/v1/auth/me").status_code == httpx.codes.OK  # of a request that is under way
        server.clock.advance(seconds=31)
        assert other.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK


def test_a_wrong_password_counts_like_a_failed_login(server: RunningServer, admin: httpx.Client) -> None:
    server.clock.stop()
    codes = [admin.post(AGAIN, json={"password": "wrong"}).status_code for _ in range(12)]
    assert codes == [422] * 10 + [429] * 2  # the browser has logged in before
    failed = fetch(server.dsn, "select action from audit_log where action = 'login_failed'")
    assert len(failed) == 10
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK


@pytest.mark.parametrize("body", [{}, {"password": ""}, {"password": "\0"}, {"password": "x" * 1001}, []])
def test_what_is_no_password_is_refused(admin: httpx.Client, body: object) -> None:
    assert admin.post(AGAIN, json=body).status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_other_roles_give_the_session_another_id(server: RunningServer, admin: httpx.Client) -> None:
    add_user(server.dsn, "eve", "viewer")
    with server.client() as client, server.client() as planted:
        client.post("/api/v1/auth/login", json={"username": "eve", "password": ADMIN[1]}).raise_for_status()
        before = client.cookies[COOKIE]
        number = value(server.dsn, "select id from app_user where username = 'eve'")
        path = f"/api/v1/users/{number}"
        admin.patch(path, json={"display_name": "Eve"}).raise_for_status()
        client.get("/api/v1/auth/me").raise_for_status()
        assert client.cookies[COOKIE] == before
        admin.patch(path, json={"roles": [{"role": "operator"}]}).raise_for_status()
        me = client.get("/api/v1/auth/me")
        assert (me.status_code, me.json()["role"]) == (200, "operator")
        after = client.cookies[COOKIE]
        assert after != before
        client.get("/api/v1/auth/me").raise_for_status()
        assert client.cookies[COOKIE] == after
        late = {"Cookie": f"{COOKIE}={before}"}  # of a request that was under way
        client.post(AGAIN, json={"password": ADMIN[1]}, headers=late).raise_for_status()
        server.clock.advance(seconds=31)
        planted.cookies.set(COOKIE, before)
        assert planted.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED
        assert client.get("/api/v1/auth/me").status_code == httpx.codes.OK


def test_a_logout_with_an_id_that_was_just_renewed_ends_the_session(
    server: RunningServer, admin: httpx.Client
) -> None:
    before = admin.cookies[COOKIE]
    admin.post(AGAIN, json={"password": ADMIN[1]}).raise_for_status()
    with server.client() as late:
        late.cookies.set(COOKIE, before)
        assert late.post("/api/v1/auth/logout").status_code == httpx.codes.NO_CONTENT
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED
