"""Logging in, staying logged in, logging out."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from santaserver.accounts import create_admin
from santaserver.settings import load
from santaserver.users import passwords
from santaserver.users.device import known_device
from tests.conftest import ADMIN
from tests.support.postgres import execute, fetch, value
from tests.support.server import LONG_SESSIONS, RunningServer

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
        cookies = client.post("/api/v1/auth/login", json=LOGIN).headers.get_list("set-cookie")
    session, device = sorted(cookies, key=lambda cookie: "device" in cookie)
    assert session.startswith(f"{name}=")
    assert {part.strip().lower() for part in session.split(";")[1:]} == flags
    lasting = {part.strip().lower() for part in device.split(";")[1:]}
    assert {flag for flag in lasting if not flag.startswith("max-age=")} == flags


@pytest.fixture
def ordinary(dsn: str) -> Iterator[tuple[RunningServer, httpx.Client]]:
    """A server whose sessions last as long as they do by default, and someone who is logged in."""
    with RunningServer(dsn, dict.fromkeys(LONG_SESSIONS, "")) as server, server.client() as client:
        assert client.post("/api/v1/auth/login", json=LOGIN).status_code == httpx.codes.OK
        yield server, client


def test_a_session_ends_when_it_is_not_used(ordinary: tuple[RunningServer, httpx.Client]) -> None:
    server, admin = ordinary
    for _ in range(3):
        server.clock.advance(minutes=29)
        assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK
    server.clock.advance(minutes=31)
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED


def test_a_session_ends_after_a_working_day_however_much_it_is_used(
    ordinary: tuple[RunningServer, httpx.Client],
) -> None:
    server, admin = ordinary
    for _ in range(17):
        server.clock.advance(minutes=27)
        assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK
    server.clock.advance(minutes=27)  # 8 h 6 min
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED


def test_shorter_lifetimes_hold_for_sessions_there_are(dsn: str) -> None:
    with RunningServer(dsn) as server, server.client() as client:
        client.post("/api/v1/auth/login", json=LOGIN)
        token = client.cookies["santa_session"]
    with RunningServer(dsn, {"SESSION_IDLE_MINUTES": "5"}) as server, server.client() as client:
        server.clock.advance(minutes=6)
        stale = client.get("/api/v1/auth/me", headers={"Cookie": f"santa_session={token}"})
    assert stale.status_code == httpx.codes.UNAUTHORIZED


def test_an_unknown_name_and_a_wrong_password_look_the_same(anonymous: httpx.Client) -> None:
    wrong = anonymous.post("/api/v1/auth/login", json=WRONG)
    unknown = anonymous.post("/api/v1/auth/login", json={"username": "nobody", "password": "guess"})
    assert wrong.status_code == unknown.status_code == httpx.codes.UNAUTHORIZED
    assert wrong.json() == unknown.json()


def test_guessing_is_slowed_down_and_a_pause_helps(server: RunningServer, anonymous: httpx.Client) -> None:
    server.clock.stop()
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


def guess(client: httpx.Client, address: str, username: str = ADMIN[0], password: str | None = None) -> int:
    body = {"username": username, "password": password or WRONG["password"]}
    return client.post("/api/v1/auth/login", json=body, headers={"X-Real-IP": address}).status_code


def test_guesses_at_the_same_time_are_counted_before_they_are_looked_at(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    verify = passwords._verify

    def counting(stored: str | None, password: str) -> bool:
        looked_at.append(password)
        return verify(stored, password)

    monkeypatch.setattr(passwords, "_verify", counting)
    server.clock.stop()
    limits = httpx.Limits(max_connections=50)
    with (
        httpx.Client(base_url=server.url, timeout=60, limits=limits) as client,
        ThreadPoolExecutor(50) as many,
    ):
        responses = Counter(many.map(lambda n: guess(client, f"2001:db8::{n:x}"), range(200)))
        assert guess(client, "203.0.113.9", password=ADMIN[1]) == httpx.codes.OK
    assert set(responses) <= {401, 429, 503}
    assert len(looked_at) == 5 + 1
    assert responses[401] == 5


def test_made_up_names_do_not_lock_out_everybody_behind_one_address(anonymous: httpx.Client) -> None:
    for number in range(60):
        assert guess(anonymous, "198.51.100.7", f"made-up-{number}") == httpx.codes.UNAUTHORIZED
    assert guess(anonymous, "198.51.100.7", password=ADMIN[1]) == httpx.codes.OK


def test_trying_a_password_on_many_accounts_slows_the_network_down(
    server: RunningServer, anonymous: httpx.Client
) -> None:
    execute(
        server.dsn,
        """insert into app_user (username, name_key, display_name, password_hash)
           select 'user' || n, 'user' || n, 'User', password_hash from app_user, generate_series(1, 40) n""",
    )
    server.clock.stop()
    found = [guess(anonymous, f"2001:db8::{number}", f"user{number}") for number in range(1, 41)]
    assert found == [401] * 30 + [429] * 10
    assert guess(anonymous, "2001:db8::ffff", "made-up") == httpx.codes.TOO_MANY_REQUESTS


def test_a_botnet_gets_no_further_and_the_owner_stays_free(
    server: RunningServer, anonymous: httpx.Client, admin: httpx.Client
) -> None:
    server.clock.stop()
    responses = [guess(anonymous, f"198.51.100.{number}") for number in range(101)]
    assert responses == [401] * 100 + [429]
    assert guess(anonymous, "203.0.113.1", password=ADMIN[1]) == httpx.codes.TOO_MANY_REQUESTS
    assert guess(admin, "203.0.113.2", password=ADMIN[1]) == httpx.codes.OK, "a browser that is known"


def test_a_browser_is_known_for_its_account_only(server: RunningServer, admin: httpx.Client) -> None:
    device = admin.cookies["santa_device"]
    settings = server.app.state.santa.settings
    now = server.clock()
    assert known_device({"santa_device": device}, settings, "admin", now)
    for wrong in (device + "0", device.replace(".", ".9", 1), "", "x", "a.b.c", "..", f"ä.{device}"):
        assert known_device({"santa_device": wrong}, settings, "admin", now) is None, wrong
    assert known_device({"santa_device": device}, settings, "root", now) is None
    assert known_device({"santa_device": device}, settings, "admin", now + timedelta(days=181)) is None


def test_a_known_browser_is_slowed_down_as_well(server: RunningServer, admin: httpx.Client) -> None:
    server.clock.stop()
    assert [guess(admin, f"203.0.113.{number}") for number in range(11)] == [401] * 10 + [429]


def test_a_full_queue_of_logins_turns_away_and_costs_nobody_an_attempt(
    server: RunningServer, anonymous: httpx.Client
) -> None:
    server.app.state.santa.logins._free = 0
    server.app.state.santa.logins._room_per_key = 0
    for _ in range(8):
        response = anonymous.post("/api/v1/auth/login", json=LOGIN)
        assert response.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert response.headers["retry-after"]
    server.app.state.santa.logins._free = 2
    assert anonymous.post("/api/v1/auth/login", json=LOGIN).status_code == httpx.codes.OK


def test_a_new_password_ends_the_sessions_of_its_account_only(
    server: RunningServer, admin: httpx.Client, viewer: httpx.Client
) -> None:
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK
    asyncio.run(create_admin(load({"DATABASE_URL": server.dsn}), "admin", "another long password"))
    assert_ends(admin)
    assert viewer.get("/api/v1/auth/me").status_code == httpx.codes.OK


def assert_ends(client: httpx.Client) -> None:
    """See that a session is gone within a second, on a busy machine within a few."""
    deadline = time.monotonic() + 10
    while client.get("/api/v1/auth/me").status_code != httpx.codes.UNAUTHORIZED:
        assert time.monotonic() < deadline, "the session is still believed"
        time.sleep(0.02)


def test_a_user_may_look_but_not_change(server: RunningServer, admin: httpx.Client) -> None:
    execute(server.dsn, "update binding set role = 'viewer'")
    assert admin.get("/api/v1/rules").status_code == httpx.codes.OK
    rule = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
    response = admin.post("/api/v1/rules", json=rule)
    assert response.status_code == httpx.codes.FORBIDDEN
    assert response.headers["content-type"] == "application/problem+json"


def test_a_disabled_account_is_out_at_once(server: RunningServer, admin: httpx.Client) -> None:
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK
    execute(server.dsn, "update app_user set disabled_at = now()")
    assert_ends(admin)


def test_logins_and_changes_are_written_down(server: RunningServer, admin: httpx.Client) -> None:
    admin.post(
        "/api/v1/rules", json={"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
    )
    acts = fetch(server.dsn, "select actor_name, action, after from audit_log where id > 2 order by id")
    assert [(act["actor_name"], act["action"]) for act in acts] == [
        ("admin", "login"),
        ("admin", "rule_created"),
    ]
    assert "ABCDEFGHIJ" in acts[1]["after"]
