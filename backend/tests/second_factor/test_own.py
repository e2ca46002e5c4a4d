"""Setting up, renewing and removing the own second factor; resetting that of someone else."""

import json
import os
import subprocess
import sys

import httpx
import pytest

from tests.conftest import ADMIN, add_user
from tests.second_factor.apps import CODE, ME, TOTP, App, enter, login, path_modules, set_up
from tests.support.postgres import execute, fetch, value
from tests.support.rest_client import RestClient
from tests.support.server import RunningServer

AGAIN = "/api/v1/auth/reauthenticate"
CODES = f"{CODE}/recovery-codes"
CHANGES = [("POST", TOTP), ("POST", f"{TOTP}/confirm"), ("DELETE", TOTP), ("POST", CODES)]
NOTHING = {"local": True, "totp_since": None, "passkeys": 0, "recovery_codes": 0}


def factors(server: RunningServer, name: str = ADMIN[0]) -> tuple[int, int]:
    """Return how many apps and recovery codes someone has."""
    user = value(server.dsn, "select id from app_user where username = $1", name)
    apps = value(server.dsn, "select count(*) from totp_secret where user_id = $1", user)
    return apps, value(server.dsn, "select count(*) from recovery_code where user_id = $1", user)


def test_an_app_counts_after_it_has_shown_a_code(server: RunningServer, admin: RestClient) -> None:
    server.clock.stop()
    assert admin.get(CODE).json() == NOTHING
    made = admin.post(TOTP).json()
    app = App(made["uri"], server.clock)
    black = path_modules(made["qr"])
    assert made["qr"]["size"] == len(black)
    assert any(map(any, black))
    assert admin.get(CODE).json() == NOTHING
    with server.client() as client:
        assert login(client).status_code == httpx.codes.OK
    for wrong in (app.wrong(), app.code(-2), app.code(2), "x", "codes-are-no-help"):
        refused = admin.post(f"{TOTP}/confirm", json={"code": wrong})
        assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
        assert refused.json()["errors"][0]["field"] == "code"
    assert factors(server) == (0, 0)
    code = app.code()
    codes = admin.post(f"{TOTP}/confirm", json={"code": f"{code[:3]} {code[3:]}"}).json()["codes"]
    assert len(set(codes)) == 10
    shown = admin.get(CODE).json()
    assert shown == {**NOTHING, "totp_since": shown["totp_since"], "recovery_codes": 10}
    assert shown["totp_since"] is not None
    again = admin.post(f"{TOTP}/confirm", json={"code": app.code()})
    assert again.status_code == httpx.codes.CONFLICT
    with server.client() as client:
        assert login(client).status_code == httpx.codes.ACCEPTED


def test_the_qr_code_is_valid_for_a_quarter_of_an_hour(server: RunningServer, admin: RestClient) -> None:
    server.clock.stop()
    app = App(admin.post(TOTP).json()["uri"], server.clock)
    server.clock.advance(minutes=15)
    admin.post(AGAIN, json={"password": ADMIN[1]}).raise_for_status()
    late = admin.post(f"{TOTP}/confirm", json={"code": app.code()})
    assert late.status_code == httpx.codes.CONFLICT
    assert factors(server) == (0, 0)


def test_another_app_replaces_the_first_when_it_is_confirmed(
    server: RunningServer, admin: RestClient, anonymous: RestClient
) -> None:
    server.clock.stop()
    first = set_up(server, admin)
    second = App(admin.post(TOTP).json()["uri"], server.clock)
    login(anonymous)
    assert enter(anonymous, second.code()).status_code == httpx.codes.UNAUTHORIZED
    assert enter(anonymous, first.app.code()).status_code == httpx.codes.OK
    server.clock.advance(seconds=90)
    done = admin.post(f"{TOTP}/confirm", json={"code": second.code()})
    assert done.json() == {"codes": []}, "the earlier recovery codes stay"
    server.clock.advance(seconds=90)
    login(anonymous)
    assert enter(anonymous, first.app.code()).status_code == httpx.codes.UNAUTHORIZED
    assert enter(anonymous, second.code()).status_code == httpx.codes.OK


def test_removing_the_app_makes_the_password_enough(
    server: RunningServer, admin: RestClient, anonymous: RestClient
) -> None:
    set_up(server, admin)
    assert admin.delete(TOTP).status_code == httpx.codes.NO_CONTENT
    assert factors(server) == (0, 0)
    assert admin.delete(TOTP).status_code == httpx.codes.NOT_FOUND
    assert login(anonymous).status_code == httpx.codes.OK


def test_new_recovery_codes_end_the_earlier_ones(
    server: RunningServer, admin: RestClient, anonymous: RestClient
) -> None:
    assert admin.post(CODES).status_code == httpx.codes.CONFLICT, "there is no second factor"
    person = set_up(server, admin)
    made = admin.post(CODES)
    assert made.status_code == httpx.codes.CREATED
    codes = made.json()["codes"]
    assert set(codes).isdisjoint(person.codes)
    assert factors(server) == (1, 10)
    login(anonymous)
    assert enter(anonymous, person.codes[0]).status_code == httpx.codes.UNAUTHORIZED
    assert enter(anonymous, codes[0]).status_code == httpx.codes.OK


def test_changes_need_a_fresh_login_and_that_needs_the_code(server: RunningServer, admin: RestClient) -> None:
    server.clock.stop()
    person = set_up(server, admin)
    server.clock.advance(minutes=11)
    for method, path in CHANGES:
        response = admin.request(method, path, json={"code": "123456"} if "confirm" in path else None)
        assert response.status_code == httpx.codes.FORBIDDEN, path
        assert response.json()["code"] == "fresh_login_required", path
    before = admin.cookies["santa_session"]
    password = {"password": ADMIN[1]}
    for code in (None, person.app.wrong(), "no-code"):
        refused = admin.post(AGAIN, json={**password, "code": code})
        assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
        assert refused.json()["errors"][0]["field"] == "code"
    wrong = admin.post(AGAIN, json={"password": "wrong", "code": person.app.code()})
    assert wrong.json()["errors"][0]["field"] == "password"
    assert admin.post(TOTP).status_code == httpx.codes.FORBIDDEN
    code = person.app.code()
    assert admin.post(AGAIN, json={**password, "code": code}).status_code == httpx.codes.NO_CONTENT
    assert admin.cookies["santa_session"] != before
    again = admin.post(AGAIN, json={**password, "code": code})
    assert again.status_code == httpx.codes.UNPROCESSABLE_ENTITY, "a code counts once here too"
    assert admin.post(AGAIN, json={**password, "code": person.codes[0]}).is_success
    assert admin.delete(TOTP).status_code == httpx.codes.NO_CONTENT


def test_guessing_codes_in_a_session_that_was_left_open_is_slowed_down(
    server: RunningServer, admin: RestClient
) -> None:
    server.clock.stop()
    person = set_up(server, admin)
    body = {"password": ADMIN[1], "code": person.app.wrong()}
    found = [admin.post(AGAIN, json=body).status_code for _ in range(12)]
    assert found == [422] * 10 + [429] * 2  # the browser has logged in before
    assert len(fetch(server.dsn, "select 1 from audit_log where action = 'second_factor_failed'")) == 10


def test_people_of_a_provider_have_no_second_factor_here(server: RunningServer, admin: RestClient) -> None:
    add_user(server.dsn, "lena", "viewer")
    with server.client() as lena:
        login(lena, "lena").raise_for_status()
        execute(server.dsn, "update app_user set password_hash = null where username = 'lena'")
        assert lena.get(CODE).json() == {**NOTHING, "local": False}
        refused = lena.post(TOTP)
        assert (refused.status_code, "provider" in refused.json()["detail"]) == (409, True)
    assert admin.post(TOTP).status_code == httpx.codes.CREATED


def test_tokens_and_strangers_reach_no_second_factor(server: RunningServer, admin: RestClient) -> None:
    body = {
        "name": "ci",
        "permissions": ["user:read"],
        "expires_at": server.clock().replace(year=server.clock().year + 1, day=1).isoformat(),
    }
    secret = admin.post("/api/v1/tokens", json=body).json()["secret"]
    user = value(server.dsn, "select id from app_user")
    reset = ("DELETE", f"/api/v1/users/{user}/second-factor")
    for method, path in (("GET", CODE), *CHANGES, reset):
        with server.client() as client:
            sent = {"code": "123456"} if "confirm" in path else None
            assert client.request(method, path, json=sent).status_code == httpx.codes.UNAUTHORIZED, path
            client.headers["Authorization"] = f"Bearer {secret}"
            assert client.request(method, path, json=sent).status_code == httpx.codes.FORBIDDEN, path


@pytest.mark.parametrize("role", ["viewer", "operator", "auditor", "approver", "requester"])
def test_only_who_manages_users_resets_second_factors(
    server: RunningServer, admin: RestClient, role: str
) -> None:
    set_up(server, admin)
    add_user(server.dsn, "eve", role)
    number = value(server.dsn, "select id from app_user where username = 'admin'")
    with server.client() as eve:
        login(eve, "eve").raise_for_status()
        for path in (
            f"/api/v1/users/{number}/second-factor",
            f"/api/v1/users/{number}/second-factor?user_id=2",
        ):
            refused = eve.delete(path, headers={"If-Match": "*"})
            assert refused.status_code in {httpx.codes.FORBIDDEN, httpx.codes.UNPROCESSABLE_ENTITY}
    assert factors(server) == (1, 10)


def test_an_administrator_resets_the_second_factor_of_somebody(
    server: RunningServer, admin: RestClient
) -> None:
    server.clock.stop()
    add_user(server.dsn, "eve", "viewer")
    number = value(server.dsn, "select id from app_user where username = 'eve'")
    with server.client() as eve, server.client() as client:
        login(eve, "eve").raise_for_status()
        person = set_up(server, eve, "eve")
        assert admin.get(f"/api/v1/users/{number}").json()["second_factor"] is True
        login(client, "eve")
        assert admin.delete(f"/api/v1/users/{number}/second-factor").status_code == httpx.codes.NO_CONTENT
        assert enter(client, person.app.code()).json()["code"] == "login_expired"
        assert login(client, "eve").status_code == httpx.codes.OK
        assert eve.get(ME).status_code == httpx.codes.OK
    assert admin.get(f"/api/v1/users/{number}").json()["second_factor"] is False
    (entry,) = fetch(
        server.dsn,
        "select actor_name, object_id, before::text from audit_log where action = 'second_factor_reset'",
    )
    assert (entry["actor_name"], entry["object_id"]) == ("admin", str(number))
    before = {"username": "eve", "totp": True, "passkeys": 0, "recovery_codes": 10}
    assert json.loads(entry["before"]) == before
    assert admin.delete("/api/v1/users/99/second-factor").status_code == httpx.codes.NOT_FOUND
    server.clock.advance(minutes=11)
    stale = admin.delete(f"/api/v1/users/{number}/second-factor")
    assert stale.json()["code"] == "fresh_login_required"


def test_who_manages_users_does_not_take_over_an_administrator(
    server: RunningServer, admin: RestClient
) -> None:
    set_up(server, admin)
    add_user(server.dsn, "helpdesk", "viewer")
    execute(
        server.dsn,
        """with made as (
             insert into custom_role (name, permissions, created_at, updated_at)
             values ('Help desk', '{user:read,user:write}', now(), now()) returning id)
           insert into binding (user_id, custom_role_id, created_at)
           select u.id, made.id, now() from made, app_user u where u.username = 'helpdesk'""",
    )
    numbers = {row["username"]: row["id"] for row in fetch(server.dsn, "select id, username from app_user")}
    with server.client() as helpdesk:
        login(helpdesk, "helpdesk").raise_for_status()
        refused = helpdesk.delete(f"/api/v1/users/{numbers['admin']}/second-factor")
        assert (refused.status_code, "may do more than you" in refused.json()["detail"]) == (403, True)
        own = helpdesk.delete(f"/api/v1/users/{numbers['helpdesk']}/second-factor")
        assert own.status_code == httpx.codes.NO_CONTENT
    assert factors(server) == (1, 10)


def test_nobody_sets_a_second_factor_by_other_fields(server: RunningServer, admin: RestClient) -> None:
    set_up(server, admin)
    number = value(server.dsn, "select id from app_user")
    bodies: list[dict[str, object]] = [{"second_factor": False}, {"totp": None}, {"recovery_codes": []}]
    for body in bodies:
        refused = admin.patch(f"/api/v1/users/{number}", json=body)
        assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY, body
    assert factors(server) == (1, 10)


def test_the_command_line_resets_the_second_factor(
    server: RunningServer, admin: RestClient, anonymous: RestClient
) -> None:
    set_up(server, admin)
    for name, code in (("Admin", 0), ("nobody", 1)):
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "santaserver", "user", "reset-second-factor", name],
            env={"DATABASE_URL": server.dsn, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
    assert factors(server) == (0, 0)
    (entry,) = fetch(server.dsn, "select actor_kind from audit_log where action = 'second_factor_reset'")
    assert entry["actor_kind"] == "command_line"
    assert login(anonymous).status_code == httpx.codes.OK


def test_a_setup_link_replaces_the_password_and_not_the_second_factor(
    server: RunningServer, admin: RestClient
) -> None:
    server.clock.stop()
    add_user(server.dsn, "eve", "viewer")
    number = value(server.dsn, "select id from app_user where username = 'eve'")
    with server.client() as eve:
        login(eve, "eve").raise_for_status()
        person = set_up(server, eve, "eve")
    url = admin.post(f"/api/v1/users/{number}/setup-link").json()["url"]
    body = {"secret": url.partition("#")[2], "password": "another long password 9"}
    with server.client() as client:
        used = client.post("/api/v1/setup", json=body)
        assert used.status_code == httpx.codes.ACCEPTED
        assert used.json()["methods"] == ["totp", "recovery_code"]
        assert client.get(ME).status_code == httpx.codes.UNAUTHORIZED
        assert enter(client, person.app.code()).status_code == httpx.codes.OK
        assert client.get(ME).json()["username"] == "eve"
