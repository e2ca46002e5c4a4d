"""Logging in, staying logged in, logging out."""

import hashlib

import httpx
import pytest

from tests.conftest import ADMIN
from tests.support.postgres import execute, fetch, value
from tests.support.server import RunningServer

LOGIN = {"username": ADMIN[0], "password": ADMIN[1]}
WRONG = {"username": ADMIN[0], "password": "guess"}


def test_a_login_opens_a_session_and_a_logout_ends_it(anonymous: httpx.Client) -> None:
    assert anonymous.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED
    user = anonymous.post("/api/v1/auth/login", json=LOGIN).json()
    assert (user["username"], user["role"]) == ("admin", "admin")
    assert anonymous.get("/api/v1/auth/me").json() == user
    token = anonymous.cookies["santa_session"]
    assert anonymous.post("/api/v1/auth/logout").status_code == httpx.codes.NO_CONTENT
    assert "santa_session" not in anonymous.cookies
    stolen = anonymous.get("/api/v1/auth/me", headers={"Cookie": f"santa_session={token}"})
    assert stolen.status_code == httpx.codes.UNAUTHORIZED


def test_the_session_id_is_stored_as_a_digest(server: RunningServer, admin: httpx.Client) -> None:
    stored = value(server.dsn, "select id_hash from user_session")
    assert stored == hashlib.sha256(admin.cookies["santa_session"].encode()).digest()


@pytest.mark.parametrize(
    ("public_url", "name", "flags"),
    [
        ("http://127.0.0.1:8080", "santa_session", {"httponly", "samesite=lax", "path=/"}),
        (
            "https://santa.example.com",
            "__Host-santa_session",
            {"httponly", "samesite=lax", "path=/", "secure"},
        ),
    ],
)
def test_the_cookie_is_as_strict_as_the_address_allows(
    dsn: str, public_url: str, name: str, flags: set[str]
) -> None:
    with RunningServer(dsn, {"PUBLIC_URL": public_url}) as server, server.client() as client:
        cookie = client.post("/api/v1/auth/login", json=LOGIN).headers["set-cookie"]
    assert cookie.startswith(f"{name}=")
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == flags


def test_a_session_ends_when_it_is_not_used(server: RunningServer, admin: httpx.Client) -> None:
    server.clock.advance(hours=11)
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK
    server.clock.advance(hours=11)
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK
    server.clock.advance(hours=13)
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED


def test_an_unknown_name_and_a_wrong_password_look_the_same(anonymous: httpx.Client) -> None:
    wrong = anonymous.post("/api/v1/auth/login", json=WRONG)
    unknown = anonymous.post("/api/v1/auth/login", json={"username": "nobody", "password": "guess"})
    assert wrong.status_code == unknown.status_code == httpx.codes.UNAUTHORIZED
    assert wrong.json() == unknown.json()


def test_guessing_is_slowed_down_and_a_pause_helps(server: RunningServer, anonymous: httpx.Client) -> None:
    for _ in range(5):
        assert anonymous.post("/api/v1/auth/login", json=WRONG).status_code == httpx.codes.UNAUTHORIZED
    throttled = anonymous.post("/api/v1/auth/login", json=LOGIN)
    assert throttled.status_code == httpx.codes.TOO_MANY_REQUESTS
    server.clock.advance(seconds=int(throttled.headers["retry-after"]) + 1)
    assert anonymous.post("/api/v1/auth/login", json=LOGIN).status_code == httpx.codes.OK


def test_guessing_from_one_address_does_not_lock_out_another(anonymous: httpx.Client) -> None:
    for _ in range(6):
        anonymous.post("/api/v1/auth/login", json=WRONG, headers={"X-Real-IP": "198.51.100.7"})
    other = anonymous.post("/api/v1/auth/login", json=LOGIN, headers={"X-Real-IP": "203.0.113.9"})
    assert other.status_code == httpx.codes.OK


def test_a_user_may_look_but_not_change(server: RunningServer, admin: httpx.Client) -> None:
    execute(server.dsn, "update app_user set role = 'user'")
    assert admin.get("/api/v1/rules").status_code == httpx.codes.OK
    rule = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
    answer = admin.post("/api/v1/rules", json=rule)
    assert answer.status_code == httpx.codes.FORBIDDEN
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_disabled_account_is_out_at_once(server: RunningServer, admin: httpx.Client) -> None:
    execute(server.dsn, "update app_user set disabled_at = now()")
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED


def test_logins_and_changes_are_written_down(server: RunningServer, admin: httpx.Client) -> None:
    admin.post(
        "/api/v1/rules", json={"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
    )
    acts = fetch(server.dsn, "select actor_name, action, after from audit_log order by id")
    assert [(act["actor_name"], act["action"]) for act in acts] == [
        ("admin", "login"),
        ("admin", "rule_created"),
    ]
    assert "ABCDEFGHIJ" in acts[1]["after"]
