"""The own password: changed with the present one, and all other sessions end."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import pytest

from tests.conftest import ADMIN, add_user
from tests.support.postgres import fetch, value
from tests.support.server import RunningServer
from tests.users.test_login import assert_ends

PATH = "/api/v1/auth/password"
NEXT = "quite another password"


def change(client: httpx.Client, current: str = ADMIN[1], new: str = NEXT) -> httpx.Response:
    return client.post(PATH, json={"current_password": current, "new_password": new})


def logged_in(client: httpx.Client, name: str, password: str) -> int:
    body = {"username": name, "password": password}
    return client.post("/api/v1/auth/login", json=body).status_code


def test_the_session_that_asks_stays_and_all_others_end(
    server: RunningServer, viewer: httpx.Client, admin: httpx.Client
) -> None:
    with server.client() as elsewhere:
        assert logged_in(elsewhere, "viewer", ADMIN[1]) == httpx.codes.OK
        done = change(viewer)
        assert (done.status_code, done.json()) == (httpx.codes.OK, {"ended": 1})
        assert_ends(elsewhere)
        assert viewer.get("/api/v1/auth/me").status_code == httpx.codes.OK
        assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK, "someone else's session"
        assert logged_in(elsewhere, "viewer", ADMIN[1]) == httpx.codes.UNAUTHORIZED
        assert logged_in(elsewhere, "viewer", NEXT) == httpx.codes.OK
    (entry,) = fetch(server.dsn, "select * from audit_log where action = 'password_changed'")
    assert (entry["actor_name"], entry["object_id"]) == ("viewer", str(entry["actor_id"]))
    assert NEXT not in str(entry)
    assert ADMIN[1] not in str(entry)


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [
        ("not the password", NEXT, "current_password"),
        ("", NEXT, "current_password"),
        (ADMIN[1], "too short", "new_password"),
        (ADMIN[1], ADMIN[1], "new_password"),
        (ADMIN[1], "a null \0 in a password", "new_password"),
        (ADMIN[1], "x" * 1001, "new_password"),
    ],
)
def test_a_refused_change_names_its_field_and_changes_nothing(
    server: RunningServer, viewer: httpx.Client, current: str, new: str, field: str
) -> None:
    query = "select password_hash from app_user where username = 'viewer'"
    before = value(server.dsn, query)
    with server.client() as elsewhere:
        logged_in(elsewhere, "viewer", ADMIN[1])
        refused = change(viewer, current, new)
        assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY, refused.text
        assert [error["field"] for error in refused.json()["errors"]] == [field]
        assert elsewhere.get("/api/v1/auth/me").status_code == httpx.codes.OK
    assert value(server.dsn, query) == before


def test_wrong_passwords_count_like_failed_logins(server: RunningServer, viewer: httpx.Client) -> None:
    server.clock.stop()
    codes = [change(viewer, f"wrong {number}").status_code for number in range(12)]
    assert codes[0] == httpx.codes.UNPROCESSABLE_ENTITY
    assert codes[-1] == httpx.codes.TOO_MANY_REQUESTS
    assert change(viewer).status_code == httpx.codes.TOO_MANY_REQUESTS, "also the right one has to wait"
    assert value(server.dsn, "select count(*) from audit_log where action = 'login_failed'") >= 5
    server.clock.advance(minutes=20)
    assert change(viewer).status_code == httpx.codes.OK
    assert value(server.dsn, "select count(*) from login_failure where key like 'device:%'") == 0


def test_of_two_changes_at_once_one_wins_and_the_other_is_told(
    server: RunningServer, viewer: httpx.Client
) -> None:
    start = Barrier(2)
    with server.client() as other:
        assert logged_in(other, "viewer", ADMIN[1]) == httpx.codes.OK

        def run(client: httpx.Client, new: str) -> int:
            start.wait(30)
            return change(client, new=new).status_code

        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(run, viewer, NEXT)
            second = threads.submit(run, other, NEXT + "!")
            codes = (first.result(), second.result())
        assert codes.count(httpx.codes.OK) == 1
        # The other one finds the password changed, or its session ended.
        assert set(codes) - {200} <= {401, 409, 422}
        winner = NEXT if codes[0] == httpx.codes.OK else NEXT + "!"
        assert logged_in(other, "viewer", winner) == httpx.codes.OK


def test_nobody_changes_the_password_of_a_disabled_or_ended_account(
    server: RunningServer, admin: httpx.Client
) -> None:
    add_user(server.dsn, "leaving", "viewer")
    with server.client() as client:
        assert logged_in(client, "leaving", ADMIN[1]) == httpx.codes.OK
        number = client.get("/api/v1/auth/me").json()["id"]
        assert admin.patch(f"/api/v1/users/{number}", json={"disabled": True}).is_success
        assert change(client).status_code == httpx.codes.UNAUTHORIZED
    with server.client() as stranger:
        assert change(stranger).status_code == httpx.codes.UNAUTHORIZED
