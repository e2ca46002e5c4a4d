"""API tokens are no way to more than their owner may do."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from santaserver.permissions import Permission
from santaserver.tokens.limits import NEVER
from santaserver.tokens.secret import new_token
from tests.conftest import ADMIN, add_user
from tests.live.sockets import closed
from tests.support.postgres import execute, fetch, value
from tests.support.server import RunningServer
from tests.users.token_requests import RULE, TOKENS, bearer, create, made


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": ""}, 422),
        ({"name": "a\nb"}, 422),
        ({"permissions": []}, 422),
        ({"permissions": ["rule:paint"]}, 422),
        ({"permissions": ["user:write"]}, 422),
        ({"permissions": ["rule:read", "session:write"]}, 422),
        ({"expires_at": None}, 422),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422),
        ({"expires_at": "9999-01-01T00:00:00Z"}, 422),
        ({"networks": ["10.0.0.1/8"]}, 422),
        ({"networks": ["example.com"]}, 422),
        ({"networks": [""]}, 422),
        ({"tags": []}, 422),
        ({"tags": ["nowhere"]}, 422),
        ({"tags": ["lab"], "permissions": ["user:read"]}, 422),
        ({"user_id": 999}, 404),
        ({"user_id": -1}, 404),
        ({"created_by": 1}, 422),
        ({"secret": "mine"}, 422),
    ],
)
def test_a_bad_token_is_not_made(
    server: RunningServer, admin: httpx.Client, fields: dict[str, Any], status: int
) -> None:
    admin.post("/api/v1/tags", json={"name": "lab"})
    response = create(admin, server, **fields)
    assert response.status_code == status, response.text
    assert value(server.dsn, "select count(*) from api_token") == 0


def test_nobody_makes_a_token_with_more_than_its_owner_may_do(
    server: RunningServer, admin: httpx.Client, viewer: httpx.Client
) -> None:
    for name in ("lab", "office"):
        admin.post("/api/v1/tags", json={"name": name})
    refused = create(viewer, server, permissions=["rule:read", "rule:write"])
    assert (refused.status_code, "rule:write" in refused.text) == (422, True)
    assert create(viewer, server, permissions=["rule:read"]).status_code == httpx.codes.CREATED
    body = {"username": "lab-bot", "kind": "service", "roles": [{"role": "operator", "tag": "lab"}]}
    bot = admin.post("/api/v1/users", json=body).json()["id"]
    refused = create(admin, server, user_id=bot, tags=["lab", "office"])
    assert (refused.status_code, "office" in refused.text) == (422, True)
    assert create(admin, server, user_id=bot, tags=["lab"]).status_code == httpx.codes.CREATED
    assert create(admin, server, user_id=bot, name="x", permissions=["overview:read"]).status_code == 422


def test_no_token_makes_tokens_or_changes_users(
    server: RunningServer, admin: httpx.Client, service: int
) -> None:
    everything = [str(one) for one in Permission if one not in NEVER]
    answer = made(admin, server, permissions=everything)
    execute(
        server.dsn, "update api_token set permissions = permissions || array['user:write','session:write']"
    )
    end = (server.clock() + timedelta(days=1)).isoformat()
    requests = [
        ("POST", "/tokens", {"name": "x", "permissions": ["rule:read"], "expires_at": end}),
        (
            "POST",
            "/tokens",
            {"name": "x", "permissions": ["rule:read"], "expires_at": end, "user_id": service},
        ),
        ("GET", "/tokens", None),
        ("GET", f"/tokens/{answer['token']['id']}", None),
        ("POST", f"/tokens/{answer['token']['id']}/rotate", {}),
        ("DELETE", f"/tokens/{answer['token']['id']}", None),
        ("POST", "/users", {"username": "x", "password": "a long password", "roles": []}),
        ("PATCH", "/users/1", {"display_name": "x"}),
        ("DELETE", f"/users/{service}", None),
        ("POST", f"/users/{service}/setup-link", None),
        ("GET", "/sessions", None),
        ("DELETE", "/sessions", None),
        ("DELETE", "/sessions/1", None),
        ("POST", "/auth/password", {"current_password": ADMIN[1], "new_password": "another long password"}),
        ("POST", "/auth/reauthenticate", {"password": ADMIN[1]}),
    ]
    size = value(server.dsn, "select size from audit_head")
    with bearer(server, answer["secret"]) as client:
        for method, path, body in requests:
            response = client.request(method, f"/api/v1{path}", json=body, headers={"If-Match": "*"})
            assert response.status_code == httpx.codes.FORBIDDEN, (method, path, response.text)
        assert client.get("/api/v1/users").status_code == httpx.codes.OK
    assert value(server.dsn, "select size from audit_head") == size


def test_tokens_belong_to_their_owner(
    server: RunningServer, admin: httpx.Client, viewer: httpx.Client, service: int
) -> None:
    theirs = made(viewer, server, permissions=["rule:read"])["token"]["id"]
    own = made(admin, server)["token"]["id"]
    bots = made(admin, server, user_id=service)["token"]["id"]
    for number in (own, bots):
        assert viewer.get(f"{TOKENS}/{number}").status_code == httpx.codes.NOT_FOUND
        assert viewer.post(f"{TOKENS}/{number}/rotate", json={}).status_code == httpx.codes.NOT_FOUND
        assert viewer.delete(f"{TOKENS}/{number}").status_code == httpx.codes.NOT_FOUND
    assert create(viewer, server, user_id=service).status_code == httpx.codes.FORBIDDEN
    for query in (f"?user_id={service}", "?kind=service", "?kind=person"):
        assert viewer.get(TOKENS + query).status_code == httpx.codes.FORBIDDEN
    assert [one["id"] for one in viewer.get(TOKENS).json()["items"]] == [theirs]
    viewers = value(server.dsn, "select id from app_user where username = 'viewer'")
    assert (
        create(admin, server, user_id=viewers, permissions=["rule:read"]).status_code == httpx.codes.NOT_FOUND
    )
    assert admin.post(f"{TOKENS}/{theirs}/rotate", json={}).status_code == httpx.codes.FORBIDDEN
    assert [one["id"] for one in admin.get(f"{TOKENS}?kind=service").json()["items"]] == [bots]
    assert [one["id"] for one in admin.get(f"{TOKENS}?user_id={viewers}").json()["items"]] == [theirs]
    assert admin.delete(f"{TOKENS}/{theirs}").status_code == httpx.codes.NO_CONTENT
    assert admin.delete(f"{TOKENS}/{theirs}").status_code == httpx.codes.NO_CONTENT
    assert viewer.get(TOKENS).json()["items"] == []


def test_names_are_unique_while_a_token_lives(server: RunningServer, admin: httpx.Client) -> None:
    first = made(admin, server)["token"]["id"]
    assert create(admin, server, name="CI").status_code == httpx.codes.CONFLICT
    admin.delete(f"{TOKENS}/{first}").raise_for_status()
    made(admin, server, name="CI")
    made(admin, server, name="CD")
    page = admin.get(f"{TOKENS}?limit=1").json()
    rest = admin.get(f"{TOKENS}?limit=1&cursor={page['next_cursor']}").json()
    assert [one["name"] for one in page["items"] + rest["items"]] == ["CI", "CD"]
    assert rest["next_cursor"] is None


def test_a_service_account_cannot_log_in(server: RunningServer, admin: httpx.Client, service: int) -> None:
    assert admin.patch(f"/api/v1/users/{service}", json={"password": "a long password"}).status_code == 422
    assert admin.post(f"/api/v1/users/{service}/setup-link").status_code == httpx.codes.CONFLICT
    body = {"username": "bot2", "kind": "service", "password": "a long password", "roles": []}
    assert admin.post("/api/v1/users", json=body).status_code == 422
    with server.client() as client:
        for password in ("x", "a long password"):
            login = client.post("/api/v1/auth/login", json={"username": "deploy", "password": password})
            assert login.status_code == httpx.codes.UNAUTHORIZED
    assert value(server.dsn, "select count(*) from user_session where user_id = $1", service) == 0


def test_a_service_account_is_not_the_last_administrator(
    server: RunningServer, admin: httpx.Client, service: int
) -> None:
    admin.patch(f"/api/v1/users/{service}", json={"roles": [{"role": "admin"}]}).raise_for_status()
    number = value(server.dsn, "select id from app_user where username = 'admin'")
    assert admin.delete(f"/api/v1/users/{number}").status_code == httpx.codes.CONFLICT
    assert admin.patch(f"/api/v1/users/{number}", json={"disabled": True}).status_code == httpx.codes.CONFLICT


def test_many_wrong_tokens_are_slowed_down_but_not_the_right_ones(
    server: RunningServer, admin: httpx.Client
) -> None:
    secret = made(admin, server)["secret"]
    here = {"X-Real-IP": "203.0.113.50"}
    server.clock.stop()
    with server.client() as stranger:
        seen = [
            stranger.get(
                "/api/v1/rules", headers={**here, "Authorization": f"Bearer {new_token('person')}"}
            ).status_code
            for _ in range(32)
        ]
        assert seen == [401] * 30 + [429] * 2
        malformed = stranger.get("/api/v1/rules", headers={**here, "Authorization": "Bearer x"})
        assert malformed.status_code == httpx.codes.TOO_MANY_REQUESTS
        assert int(malformed.headers["retry-after"]) >= 1
        elsewhere = {"X-Real-IP": "203.0.113.51", "Authorization": "Bearer x"}
        assert stranger.get("/api/v1/rules", headers=elsewhere).status_code == httpx.codes.UNAUTHORIZED
    with bearer(server, secret) as client:
        assert client.get("/api/v1/rules", headers=here).status_code == httpx.codes.OK
    login = {"username": ADMIN[0], "password": ADMIN[1]}
    with server.client() as browser:  # a program with an old token does not lock out people
        assert browser.post("/api/v1/auth/login", json=login, headers=here).status_code == httpx.codes.OK
    entries = fetch(server.dsn, "select object_id from audit_log where action = 'token_refused'")
    assert len(entries) == 2  # one a minute for each network


def test_a_token_opens_no_live_channel(server: RunningServer, admin: httpx.Client) -> None:
    secret = made(admin, server, permissions=["live:read"])["secret"]
    url = server.url.replace("http://", "ws://") + "/api/v1/live"
    with connect(url, additional_headers={"Authorization": f"Bearer {secret}"}) as opened:
        closed(opened)
    assert opened.close_code == 4401


def test_a_user_with_a_role_for_a_tag_can_have_tokens(server: RunningServer, admin: httpx.Client) -> None:
    tags = {name: admin.post("/api/v1/tags", json={"name": name}).json()["id"] for name in ("lab", "office")}
    add_user(server.dsn, "lab-operator", "operator", tags["lab"])
    with server.client() as client:
        client.post("/api/v1/auth/login", json={"username": "lab-operator", "password": ADMIN[1]})
        secret = made(client, server)["secret"]
        assert create(client, server, name="x", tags=["office"]).status_code == 422
    with bearer(server, secret) as script:
        for layer, status in (("tag:lab", 201), ("tag:office", 404)):
            rule = {**RULE, "layer": layer, "identifier": "77" * 32}
            assert script.post("/api/v1/rules", json=rule).status_code == status
