"""API tokens: what they may do and how they end."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from santaserver.permissions import Permission
from santaserver.scope import EVERYWHERE, Scope
from santaserver.tokens.limits import NEVER, is_allowed, narrowed, parse_network, token_permissions
from santaserver.tokens.secret import is_well_formed, new_token
from tests.conftest import ADMIN
from tests.support.postgres import execute, fetch, value
from tests.support.rest_client import RestClient
from tests.support.server import RunningServer
from tests.users.token_requests import RULE, TOKENS, bearer, made


@pytest.fixture
def other_worker(server: RunningServer) -> Iterator[RunningServer]:
    """Another worker on the same database, with the same clock."""
    with RunningServer(server.dsn, clock=server.clock) as running:
        yield running


# The text of a token


@pytest.mark.parametrize(("kind", "prefix"), [("person", "santa_u_"), ("service", "santa_s_")])
def test_a_token_is_recognized_by_its_form(kind: Any, prefix: str) -> None:  # noqa: ANN401
    token = new_token(kind)
    assert re.fullmatch(prefix + "[0-9A-Za-z]{38}", token)
    assert is_well_formed(token)
    assert token != new_token(kind)
    last = "a" if token[-1] != "a" else "b"
    for wrong in (
        token[:-1] + last,
        token[:-1],
        token + "0",
        token.upper(),
        token[:20] + "é" + token[21:],
        "",
    ):
        assert not is_well_formed(wrong)
    swapped = token.replace("santa_u_", "santa_s_") if kind == "person" else token.replace("_s_", "_u_")
    assert not is_well_formed(swapped)


def test_what_a_token_reaches_is_what_it_and_its_owner_reach() -> None:
    rule, user = Permission.RULE_WRITE, Permission.USER_READ
    lab = Scope(frozenset({1, 2}))
    assert narrowed(rule, None, None) is None
    assert narrowed(rule, None, [1]) is None
    assert narrowed(rule, EVERYWHERE, None) == EVERYWHERE
    assert narrowed(rule, lab, None) == lab
    assert narrowed(rule, EVERYWHERE, [3]) == Scope(frozenset({3}))
    assert narrowed(rule, lab, [2, 3]) == Scope(frozenset({2}))
    assert narrowed(rule, lab, [3]) is None
    assert narrowed(user, EVERYWHERE, None) == EVERYWHERE
    assert narrowed(user, EVERYWHERE, [1]) is None
    assert token_permissions(["rule:read", "rule:paint", *NEVER]) == {Permission.RULE_READ}


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ([], "203.0.113.9", True),
        (["203.0.113.0/24"], "203.0.113.9", True),
        (["203.0.113.0/24"], "203.0.114.9", False),
        (["203.0.113.9"], "203.0.113.9", True),
        (["203.0.113.0/24"], "::ffff:203.0.113.9", True),
        (["203.0.113.0/24"], "2001:db8::1", False),
        (["2001:db8::/32", "10.0.0.0/8"], "2001:db8:1::7", True),
        (["2001:db8::/32", "10.0.0.0/8"], "10.9.8.7", True),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["0.0.0.0/0"], "unknown", False),
        (["0.0.0.0/0"], "", False),
    ],
)
def test_networks(networks: list[str], address: str, allowed: bool) -> None:
    assert is_allowed([parse_network(one) for one in networks], address) is allowed


# Using one


def test_a_token_is_shown_once_and_works_for_what_it_was_made_for(
    server: RunningServer, admin: httpx.Client
) -> None:
    answer = made(admin, server)
    token, secret = answer["token"], answer["secret"]
    assert secret.startswith(token["hint"])
    assert (token["owner_kind"], token["username"], token["last_used_at"]) == ("person", "admin", None)
    for response in (admin.get(TOKENS), admin.get(f"{TOKENS}/{token['id']}")):
        assert secret not in response.text
        assert secret[12:] not in response.text
    dumped = str(fetch(server.dsn, "select * from api_token")) + str(
        fetch(server.dsn, "select * from audit_log")
    )
    assert secret not in dumped
    with bearer(server, secret) as client:
        rule = client.post("/api/v1/rules", json={**RULE, "identifier": "ab" * 32})
        assert rule.status_code == httpx.codes.CREATED, rule.text
        assert rule.json()["created_by"] == "admin"
        assert client.get("/api/v1/rules").status_code == httpx.codes.OK
        refused = client.get("/api/v1/machines")
        assert refused.status_code == httpx.codes.FORBIDDEN
        assert "the token was made without it" in refused.json()["detail"]
        assert client.get("/api/v1/auth/me").json()["permissions"] == ["rule:read", "rule:write"]
        changed = client.patch(f"/api/v1/rules/{rule.json()['id']}", json={"comment": "by a program"})
        assert changed.status_code == httpx.codes.OK, changed.text
    entry = fetch(server.dsn, "select * from audit_log where action = 'rule_created'")[0]
    assert (entry["actor_kind"], entry["actor_name"]) == ("token", "admin (token ci)")
    said = value(
        server.dsn, "select body #>> '{actor,token}' from audit_leaf where body->>'action' = 'rule_created'"
    )
    assert said == str(token["id"])


def test_a_request_with_a_token_needs_no_origin_and_ignores_cookies(
    server: RunningServer, admin: httpx.Client, viewer: httpx.Client
) -> None:
    secret = made(admin, server)["secret"]
    headers = {
        "Authorization": f"bearer {secret}",
        "Origin": "https://evil.test",
        "Sec-Fetch-Site": "cross-site",
    }
    rule = {**RULE, "identifier": "cd" * 32}
    assert viewer.post("/api/v1/rules", json=rule, headers=headers).status_code == httpx.codes.CREATED
    wrong = {"Authorization": f"Bearer {new_token('person')}"}
    assert admin.get("/api/v1/rules", headers=wrong).status_code == httpx.codes.UNAUTHORIZED
    basic = {"Authorization": "Basic YWRtaW46eA=="}  # of a proxy in front, perhaps
    assert admin.get("/api/v1/rules", headers=basic).status_code == httpx.codes.OK


@pytest.mark.parametrize(
    "secret",
    ["-", "x", "santa_u_", "santa_u_" + "0" * 38, "santa_x_" + "a" * 38, "a" * 5000, "santa_u_é"],
)
def test_what_is_no_token_is_refused(server: RunningServer, secret: str) -> None:
    with server.client() as client:
        header = f"Bearer {secret}".encode()
        response = client.get("/api/v1/rules", headers=[(b"Authorization", header)])
    assert response.status_code == httpx.codes.UNAUTHORIZED
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert response.headers["content-type"] == "application/problem+json"


def test_last_use_is_stored_once_a_minute(server: RunningServer, admin: httpx.Client) -> None:
    answer = made(admin, server)
    path = f"{TOKENS}/{answer['token']['id']}"
    seen = []
    for ahead, address in ((0, "203.0.113.1"), (0, "203.0.113.2"), (61, "203.0.113.3"), (0, "203.0.113.4")):
        server.clock.advance(seconds=ahead)
        with bearer(server, answer["secret"]) as client:
            client.get("/api/v1/rules", headers={"X-Real-IP": address}).raise_for_status()
        token = admin.get(path).json()
        seen.append((token["last_used_at"], token["last_address"]))
    assert [address for _, address in seen] == ["203.0.113.1", "203.0.113.1", "203.0.113.3", "203.0.113.3"]
    assert seen[0] == seen[1] < seen[2] == seen[3]


def test_a_token_works_only_from_its_networks(server: RunningServer, admin: httpx.Client) -> None:
    secret = made(admin, server, networks=["203.0.113.0/24", "2001:db8::/32"])["secret"]
    with bearer(server, secret) as client:
        for address, status in (
            ("203.0.113.77", 200),
            ("2001:db8::5", 200),
            ("203.0.112.1", 401),
            ("10.0.0.1", 401),
        ):
            response = client.get("/api/v1/rules", headers={"X-Real-IP": address})
            assert response.status_code == status, address
    entry = fetch(server.dsn, "select * from audit_log where action = 'token_refused' order by id")[0]
    assert (entry["address"], entry["actor_kind"]) == ("203.0.112.1", "anonymous")


# How one ends


def dies(clients: list[RestClient]) -> None:
    for client in clients:
        assert client.get("/api/v1/rules").status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize("way", ["revoked", "expired", "disabled", "deleted", "in the database"])
def test_a_token_ends_at_once_in_all_workers(
    server: RunningServer, other_worker: RunningServer, admin: httpx.Client, service: int, way: str
) -> None:
    answer = made(admin, server, user_id=service)
    number, secret = answer["token"]["id"], answer["secret"]
    with bearer(server, secret) as one, bearer(other_worker, secret) as other:
        for client in (one, other):
            assert client.get("/api/v1/rules").status_code == httpx.codes.OK
        if way == "revoked":
            assert admin.delete(f"{TOKENS}/{number}").status_code == httpx.codes.NO_CONTENT
        elif way == "expired":
            server.clock.advance(days=31)
        elif way == "disabled":
            assert (
                admin.patch(f"/api/v1/users/{service}", json={"disabled": True}).status_code == httpx.codes.OK
            )
        elif way == "deleted":
            assert admin.delete(f"/api/v1/users/{service}").status_code == httpx.codes.NO_CONTENT
        else:
            execute(server.dsn, "update api_token set revoked_at = now()")
        if way != "in the database":
            assert one.get("/api/v1/rules").status_code == httpx.codes.UNAUTHORIZED
        wait_until_dead(one, other)


def wait_until_dead(*clients: RestClient) -> None:
    """Ask until no client is let in; the promise is five seconds, a loaded test machine gets thirty."""
    deadline = time.monotonic() + 30
    for client in clients:
        while client.get("/api/v1/rules").status_code != httpx.codes.UNAUTHORIZED:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_disabled_owner_who_is_enabled_again_has_the_tokens_again(
    server: RunningServer, admin: httpx.Client, service: int
) -> None:
    secret = made(admin, server, user_id=service)["secret"]
    with bearer(server, secret) as client:
        for disabled, status in ((True, 401), (False, 200)):
            admin.patch(f"/api/v1/users/{service}", json={"disabled": disabled}).raise_for_status()
            assert client.get("/api/v1/rules").status_code == status


def test_what_the_owner_loses_the_token_loses(
    server: RunningServer, admin: httpx.Client, service: int
) -> None:
    admin.post("/api/v1/tags", json={"name": "lab"})
    secret = made(admin, server, user_id=service)["secret"]
    rule = {**RULE, "identifier": "ef" * 32}
    with bearer(server, secret) as client:
        for roles, read, write in (
            ([{"role": "viewer"}], 200, 403),
            ([{"role": "operator", "tag": "lab"}], 200, 404),
            ([], 403, 403),
            ([{"role": "admin"}], 200, 201),
        ):
            admin.patch(f"/api/v1/users/{service}", json={"roles": roles}).raise_for_status()
            assert client.get("/api/v1/rules").status_code == read, roles
            assert client.post("/api/v1/rules", json=rule).status_code == write, roles
            assert client.get("/api/v1/machines").status_code == 403  # the token was not made for it


def test_a_token_for_a_tag_reaches_only_what_has_the_tag(server: RunningServer, admin: httpx.Client) -> None:
    for name in ("lab", "office"):
        admin.post("/api/v1/tags", json={"name": name})
    secret = made(admin, server, tags=["LAB"])["secret"]
    with bearer(server, secret) as client:
        statuses = [
            client.post("/api/v1/rules", json={**RULE, "layer": layer, "identifier": "12" * 32}).status_code
            for layer in ("tag:lab", "tag:office", "global")
        ]
        assert statuses == [201, 404, 404]
        assert {rule["layer"] for rule in client.get("/api/v1/rules").json()["items"]} == {"tag:lab"}
        lab = next(one["id"] for one in admin.get("/api/v1/tags").json() if one["name"] == "lab")
        admin.delete(f"/api/v1/tags/{lab}").raise_for_status()
        assert client.post("/api/v1/rules", json={**RULE, "identifier": "13" * 32}).status_code == 404


def test_rotation_lets_the_old_secret_work_until_a_moment(server: RunningServer, admin: httpx.Client) -> None:
    answer = made(admin, server)
    number, old = answer["token"]["id"], answer["secret"]
    until = server.clock() + timedelta(hours=2)
    rotated = admin.post(f"{TOKENS}/{number}/rotate", json={"previous_valid_until": until.isoformat()})
    assert rotated.status_code == httpx.codes.OK, rotated.text
    new = rotated.json()["secret"]
    assert (rotated.json()["token"]["id"], new == old) == (number, False)
    with bearer(server, old) as before, bearer(server, new) as after:
        assert before.get("/api/v1/rules").status_code == httpx.codes.OK
        assert after.get("/api/v1/rules").status_code == httpx.codes.OK
        assert admin.get(f"{TOKENS}/{number}").json()["previous"]["last_used_at"] is not None
        server.clock.advance(hours=3)
        assert before.get("/api/v1/rules").status_code == httpx.codes.UNAUTHORIZED
        assert after.get("/api/v1/rules").status_code == httpx.codes.OK
        admin.post("/api/v1/auth/reauthenticate", json={"password": ADMIN[1]}).raise_for_status()
        third = admin.post(f"{TOKENS}/{number}/rotate", json={}).json()
        assert third["token"]["previous"] is None
        assert after.get("/api/v1/rules").status_code == httpx.codes.UNAUTHORIZED
    with bearer(server, third["secret"]) as client:
        assert client.get("/api/v1/rules").status_code == httpx.codes.OK
    admin.delete(f"{TOKENS}/{number}").raise_for_status()
    assert admin.post(f"{TOKENS}/{number}/rotate", json={}).status_code == httpx.codes.CONFLICT
