"""Stored hashes follow the parameters of today: the next login replaces them."""

import httpx
import pytest
from argon2 import PasswordHasher, Type

from santaserver.users import passwords
from tests.conftest import ADMIN, add_user
from tests.support.postgres import execute, fetch, value
from tests.support.rest_client import RestClient
from tests.support.server import RunningServer

LOGIN = "/api/v1/auth/login"
BODY = {"username": ADMIN[0], "password": ADMIN[1]}
STORED = "select password_hash from app_user where username = 'admin'"
OTHERS = {
    "less time and memory": PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, hash_len=16),
    "more time": PasswordHasher(time_cost=3, memory_cost=8, parallelism=1),
    "more memory": PasswordHasher(time_cost=1, memory_cost=64, parallelism=1),
    "more lanes": PasswordHasher(time_cost=1, memory_cost=64, parallelism=4),
    "argon2i": PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, type=Type.I),
}


def store(server: RunningServer, kind: str) -> str:
    hashed = OTHERS[kind].hash(ADMIN[1])
    execute(server.dsn, "update app_user set password_hash = $1 where username = 'admin'", hashed)
    return hashed


@pytest.mark.parametrize("kind", OTHERS)
def test_a_login_replaces_a_hash_of_other_parameters(
    server: RunningServer, anonymous: RestClient, kind: str
) -> None:
    before = store(server, kind)
    assert anonymous.post(LOGIN, json={**BODY, "password": "wrong"}).status_code == httpx.codes.UNAUTHORIZED
    assert value(server.dsn, STORED) == before, "only the right password can be hashed"
    assert anonymous.post(LOGIN, json=BODY).status_code == httpx.codes.OK
    after = value(server.dsn, STORED)
    assert after != before
    assert not passwords.needs_rehash(after)
    assert anonymous.post(LOGIN, json=BODY).status_code == httpx.codes.OK
    assert value(server.dsn, STORED) == after, "once"


def test_the_parameters_of_production_are_those_that_owasp_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "STRENGTH", passwords.PRODUCTION)
    passwords._hasher.cache_clear()
    try:
        assert passwords.hash_password("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    finally:
        passwords._hasher.cache_clear()


def test_also_the_own_password_is_changed_over_a_hash_of_other_parameters(
    server: RunningServer, admin: RestClient
) -> None:
    store(server, "more time")
    body = {"current_password": ADMIN[1], "new_password": "another long password"}
    assert admin.post("/api/v1/auth/password", json=body).status_code == httpx.codes.OK
    store(server, "more time")
    again = admin.post("/api/v1/auth/reauthenticate", json={"password": ADMIN[1]})
    assert again.status_code == httpx.codes.NO_CONTENT


def test_an_account_without_a_password_has_nothing_to_log_in_with(
    server: RunningServer, admin: RestClient, anonymous: RestClient
) -> None:
    add_user(server.dsn, "lena", "viewer")
    execute(server.dsn, "update app_user set password_hash = null where username = 'lena'")
    unknown = anonymous.post(LOGIN, json={"username": "nobody", "password": ADMIN[1]})
    for password in (ADMIN[1], "x", "null", "None"):
        refused = anonymous.post(LOGIN, json={"username": "lena", "password": password})
        assert (refused.status_code, refused.json()) == (httpx.codes.UNAUTHORIZED, unknown.json())
    assert value(server.dsn, "select password_hash from app_user where username = 'lena'") is None
    assert {
        row["after"]
        for row in fetch(server.dsn, "select after::text from audit_log where action = 'login_failed'")
    } == {
        '{"username": "lena"}',
        None,
    }
    assert admin.get("/api/v1/auth/me").is_success
