"""Logging in with a second factor, and what does not get in."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest

from tests.conftest import ADMIN, add_user
from tests.second_factor.apps import (
    CODE,
    ME,
    PENDING,
    SESSION,
    TOTP,
    Person,
    enter,
    login,
    set_up,
)
from tests.support.postgres import execute, fetch, value
from tests.support.rest_client import RestClient
from tests.support.server import RunningServer

OK, ACCEPTED, REFUSED = httpx.codes.OK, httpx.codes.ACCEPTED, httpx.codes.UNAUTHORIZED
TOO_MANY = httpx.codes.TOO_MANY_REQUESTS


@pytest.fixture
def person(server: RunningServer, admin: RestClient) -> Person:
    """The administrator, with an authenticator app."""
    server.clock.stop()
    return set_up(server, admin)


def actions(server: RunningServer) -> list[str]:
    rows = fetch(server.dsn, "select action from audit_log order by id")
    return [row["action"] for row in rows if not row["action"].startswith("schema")]


def audit_text(server: RunningServer) -> str:
    query = "select string_agg(entry || details, '') from audit_leaf join audit_detail using (seq)"
    text: str = value(server.dsn, query)
    return text


def test_the_password_opens_no_session_and_the_code_does(
    server: RunningServer, person: Person, anonymous: RestClient
) -> None:
    sessions = value(server.dsn, "select count(*) from user_session")
    first = login(anonymous)
    assert first.status_code == ACCEPTED
    assert first.json() == {"methods": ["totp", "recovery_code"], "expires_in": 300}
    assert SESSION not in anonymous.cookies
    assert "santa_device" not in anonymous.cookies
    assert anonymous.get(ME).status_code == REFUSED
    assert value(server.dsn, "select count(*) from user_session") == sessions
    second = enter(anonymous, person.app.code())
    assert second.status_code == OK
    assert second.json()["username"] == ADMIN[0]
    assert anonymous.get(ME).json() == second.json()
    assert PENDING not in anonymous.cookies
    assert "santa_device" in anonymous.cookies
    entry = fetch(
        server.dsn, "select after::text from audit_log where action = 'login' order by id desc limit 1"
    )[0]
    assert json.loads(entry["after"]) == {"second_factor": "totp"}


@pytest.mark.parametrize(
    ("public_url", "name", "flags"),
    [
        ("http://127.0.0.1:8080", "santa_login", {"httponly", "samesite=strict", "path=/", "max-age=300"}),
        (
            "https://santa.example.com",
            "__Host-santa_login",
            {"httponly", "samesite=strict", "path=/", "max-age=300", "secure"},
        ),
    ],
)
def test_the_cookie_between_the_steps_is_as_strict_as_can_be(
    dsn: str, public_url: str, name: str, flags: set[str]
) -> None:
    with RunningServer(dsn) as server, server.client() as client:
        login(client)
        set_up(server, client)
    with RunningServer(dsn, {"PUBLIC_URL": public_url}) as server, server.client() as client:
        (cookie,) = login(client).headers.get_list("set-cookie")
    assert cookie.startswith(f"{name}=")
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == flags


def test_a_code_works_once(person: Person, server: RunningServer) -> None:
    code = person.app.code()
    with server.client() as one, server.client() as other:
        assert login(one).status_code == login(other).status_code == ACCEPTED
        assert enter(one, code).status_code == OK
        assert enter(other, code).status_code == REFUSED
        assert other.get(ME).status_code == REFUSED
        server.clock.advance(seconds=30)
        assert enter(other, code).status_code == REFUSED, "still within the skew"
        assert enter(other, person.app.code(-1)).status_code == REFUSED, "the same step"
        assert enter(other, person.app.code()).status_code == OK


def test_the_code_that_confirmed_the_app_is_used_up(server: RunningServer, admin: RestClient) -> None:
    server.clock.stop()
    person = set_up(server, admin)
    server.clock.advance(seconds=-90)
    with server.client() as client:
        login(client)
        assert enter(client, person.app.code()).status_code == REFUSED
        assert enter(client, person.app.code(+1)).status_code == OK


def test_a_code_works_once_also_at_the_same_time_in_two_processes(
    dsn: str, server: RunningServer, person: Person
) -> None:
    with RunningServer(dsn, clock=server.clock) as second:
        clients = [running.client() for running in (server, second) for _ in range(3)]
        together = Barrier(len(clients))
        for client in clients:
            assert login(client).status_code == ACCEPTED
        code = person.app.code()

        def attempt(client: RestClient) -> int:
            together.wait()
            return enter(client, code, **{"X-Real-IP": f"203.0.113.{clients.index(client)}"}).status_code

        with ThreadPoolExecutor(len(clients)) as many:
            found = sorted(many.map(attempt, clients))
        for client in clients:
            client.close()
    assert found == [OK] + [REFUSED] * 5


def test_a_phone_may_be_half_a_minute_off(server: RunningServer, person: Person) -> None:
    for steps, expected in ((-2, REFUSED), (2, REFUSED), (-1, OK), (1, OK)):
        with server.client() as client:
            login(client)
            assert enter(client, person.app.code(steps)).status_code == expected, steps


def test_a_code_of_somebody_else_is_wrong(server: RunningServer, person: Person) -> None:
    add_user(server.dsn, "eve", "viewer")
    with server.client() as eve:
        assert login(eve, "eve").status_code == OK
        hers = set_up(server, eve, "eve")
    with server.client() as client:
        login(client)
        assert enter(client, hers.app.code()).status_code == REFUSED
        assert enter(client, hers.codes[0]).status_code == REFUSED
        assert enter(client, person.app.code()).status_code == OK
    assert value(server.dsn, "select count(*) from recovery_code") == 20


def test_a_code_without_a_password_or_in_another_browser_is_nothing(
    server: RunningServer, person: Person, anonymous: RestClient
) -> None:
    login(anonymous)
    with server.client() as other:
        for value_of_cookie in (None, "", "x", "A" * 43, anonymous.cookies[PENDING][:-1] + "_"):
            if value_of_cookie is not None:
                other.cookies.set(PENDING, value_of_cookie)
            response = enter(other, person.app.code())
            assert response.status_code == REFUSED
            assert response.json()["code"] == "login_expired"
            assert SESSION not in other.cookies
    assert enter(anonymous, person.app.code()).status_code == OK


@pytest.mark.usefixtures("person")
def test_a_pending_login_gives_access_to_nothing(anonymous: RestClient) -> None:
    login(anonymous)
    secret = anonymous.cookies[PENDING]
    for name in (SESSION, "santa_device"):
        anonymous.cookies.set(name, secret)
    for method, path in (
        ("GET", ME),
        ("GET", CODE),
        ("POST", TOTP),
        ("DELETE", TOTP),
        ("POST", f"{CODE}/recovery-codes"),
        ("GET", "/api/v1/rules"),
        ("POST", "/api/v1/auth/password"),
    ):
        assert anonymous.request(method, path, json={}).status_code == REFUSED, path
    headers = {"Authorization": f"Bearer {secret}"}
    assert anonymous.get("/api/v1/rules", headers=headers).status_code == REFUSED


def test_a_pending_login_ends(server: RunningServer, person: Person, anonymous: RestClient) -> None:
    login(anonymous)
    server.clock.advance(seconds=299)
    assert enter(anonymous, person.app.wrong()).json()["detail"].startswith("The code is wrong")
    server.clock.advance(seconds=2)
    late = enter(anonymous, person.app.code())
    assert (late.status_code, late.json()["code"]) == (REFUSED, "login_expired")
    login(anonymous)
    assert value(server.dsn, "select count(*) from pending_login") == 1, "old ones are dropped"


def test_a_pending_login_is_used_once(server: RunningServer, person: Person, anonymous: RestClient) -> None:
    login(anonymous)
    secret = anonymous.cookies[PENDING]
    assert enter(anonymous, person.app.code()).status_code == OK
    server.clock.advance(seconds=30)
    with server.client() as thief:
        thief.cookies.set(PENDING, secret)
        assert enter(thief, person.app.code()).json()["code"] == "login_expired"


@pytest.mark.parametrize(
    "change",
    [
        "update app_user set disabled_at = now()",
        "update app_user set password_hash = password_hash || 'x'",
        "update app_user set password_hash = null",
        "delete from app_user where username = 'eve'",
    ],
)
def test_a_pending_login_ends_with_what_it_began_with(server: RunningServer, change: str) -> None:
    add_user(server.dsn, "eve", "viewer")
    with server.client() as eve:
        login(eve, "eve")
        person = set_up(server, eve, "eve")
    with server.client() as client:
        assert login(client, "eve").status_code == ACCEPTED
        execute(server.dsn, change)
        assert enter(client, person.app.code()).json()["code"] == "login_expired"


def test_five_wrong_codes_end_the_pending_login(
    server: RunningServer, person: Person, anonymous: RestClient
) -> None:
    login(anonymous)
    found = [enter(anonymous, person.app.wrong()).json().get("code") for _ in range(5)]
    assert found == [None] * 5
    assert value(server.dsn, "select count(*) from pending_login") == 0
    assert enter(anonymous, person.app.code()).json()["code"] == "login_expired"
    assert actions(server)[-5:] == ["second_factor_failed"] * 5


def test_guessing_codes_is_slowed_down_although_the_password_is_known(
    server: RunningServer, person: Person, anonymous: RestClient
) -> None:
    found = []
    for _ in range(8):
        assert login(anonymous).status_code == ACCEPTED
        found.append(enter(anonymous, person.app.wrong()).status_code)
    assert found == [REFUSED] * 5 + [TOO_MANY] * 3
    refused = enter(anonymous, person.app.code())
    assert refused.status_code == TOO_MANY
    assert actions(server).count("second_factor_throttled") == 1
    assert enter(anonymous, person.app.code(), **{"X-Real-IP": "203.0.113.9"}).status_code == OK
    server.clock.advance(seconds=int(refused.headers["retry-after"]) + 30)
    login(anonymous)
    assert enter(anonymous, person.app.code()).status_code == OK


def test_a_botnet_that_knows_the_password_gets_no_further_and_the_owner_stays_free(
    person: Person, anonymous: RestClient, admin: RestClient
) -> None:
    found = []
    for number in range(102):
        login(anonymous)
        address = {"X-Real-IP": f"198.51.100.{number}"}
        found.append(enter(anonymous, person.app.wrong(), **address).status_code)
    assert found == [REFUSED] * 100 + [TOO_MANY] * 2
    login(admin)
    assert enter(admin, person.app.code()).status_code == OK, "a browser that is known"


def test_wrong_codes_at_the_same_time_are_counted_before_they_are_looked_at(
    server: RunningServer, person: Person
) -> None:
    clients = [server.client() for _ in range(12)]
    for client in clients:
        assert login(client).status_code == ACCEPTED
    with ThreadPoolExecutor(12) as many:
        found = list(many.map(lambda client: enter(client, person.app.wrong()).status_code, clients))
    for client in clients:
        client.close()
    assert found.count(REFUSED) == 5
    assert found.count(TOO_MANY) == 7
    assert actions(server).count("second_factor_failed") == 5


def test_a_recovery_code_works_once(person: Person, anonymous: RestClient) -> None:
    login(anonymous)
    assert enter(anonymous, person.codes[3].upper().replace("-", " ")).status_code == OK
    state = anonymous.get(CODE).json()
    assert state["recovery_codes"] == 9
    login(anonymous)
    assert enter(anonymous, person.codes[3]).status_code == REFUSED
    assert enter(anonymous, person.codes[4]).status_code == OK


def test_a_recovery_code_works_once_also_at_the_same_time(server: RunningServer, person: Person) -> None:
    clients = [server.client() for _ in range(4)]
    together = Barrier(4)
    for client in clients:
        login(client)

    def attempt(client: RestClient) -> int:
        together.wait()
        return enter(client, person.codes[0]).status_code

    with ThreadPoolExecutor(4) as many:
        found = list(many.map(attempt, clients))
    for client in clients:
        client.close()
    assert found.count(OK) == 1
    assert value(server.dsn, "select count(*) from recovery_code") == 9


def test_a_planted_session_id_is_not_taken_over(
    server: RunningServer, person: Person, anonymous: RestClient
) -> None:
    planted = "A" * 43
    anonymous.cookies.set(SESSION, planted)
    login(anonymous)
    assert enter(anonymous, person.app.code()).status_code == OK
    opened = [one for one in anonymous.cookies.jar if one.name == SESSION and one.value != planted]
    assert len(opened) == 1
    with server.client() as thief:
        thief.cookies.set(SESSION, planted)
        assert thief.get(ME).status_code == REFUSED


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"code": ""},
        {"code": None},
        {"code": 123456},
        {"code": ["123456"]},
        {"code": "1" * 65},
        {"code": "12\x00456"},
        {"code": "123456", "username": "eve"},
        {"code": "123456", "user_id": 1},
        [],
    ],
)
def test_what_is_no_code_is_refused(person: Person, anonymous: RestClient, body: Any) -> None:  # noqa: ANN401
    login(anonymous)
    assert anonymous.post(CODE, json=body).status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert enter(anonymous, person.app.code()).status_code == OK


def test_neither_log_nor_database_has_a_code_or_a_secret(
    server: RunningServer, person: Person, anonymous: RestClient
) -> None:
    code, wrong = person.app.code(), "987 654"
    login(anonymous)
    enter(anonymous, wrong)
    enter(anonymous, person.codes[0])
    login(anonymous)
    enter(anonymous, code)
    text = audit_text(server)
    for secret in (code, wrong, person.codes[0], person.app.secret.hex(), "otpauth"):
        assert secret not in text
    stored = value(server.dsn, "select sealed from totp_secret")
    assert person.app.secret not in stored
    rows = fetch(server.dsn, "select encode(code_hash, 'escape') as h from recovery_code")
    assert not any(code in row["h"] for row in rows for code in person.codes)


def test_codes_work_while_the_secret_key_is_replaced_and_after(
    dsn: str, server: RunningServer, person: Person
) -> None:
    old = server.app.state.santa.settings.security.secret_key
    new = "5f1c1d8e2b7a4c90b6d3e8f7a9c0b1d2"
    rotated = {"SECRET_KEY": new, "SECRET_KEY_PREVIOUS": old}
    for variables in (rotated, rotated, {"SECRET_KEY": new}):
        with RunningServer(dsn, variables, server.clock) as running, running.client() as client:
            login(client)
            assert enter(client, person.app.code()).status_code == OK
        server.clock.advance(seconds=60)


def test_with_another_secret_key_codes_fail_and_recovery_codes_still_work(
    dsn: str, person: Person, server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    other = RunningServer(dsn, {"SECRET_KEY": "another key, of 32 characters or more"}, clock=server.clock)
    with other, other.client() as client:
        login(client)
        assert enter(client, person.app.code()).status_code == REFUSED
        assert "reset-second-factor admin" in caplog.text
        assert enter(client, person.codes[0]).status_code == OK
