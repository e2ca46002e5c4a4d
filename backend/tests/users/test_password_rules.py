"""Which passwords are refused, wherever one is chosen."""

import io
import sys

import httpx
import pytest

from santaserver.__main__ import main
from santaserver.users.password_rules import COMMON, LIST, OWN, SIMPLE, weakness
from tests.conftest import ADMIN
from tests.support.postgres import value
from tests.support.server import RunningServer

OWN_WORDS = ("ada.lovelace@example.com", "Ada Lovelace")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("fourteen chars", "at least 15 characters"),
        ("passwordpassword", SIMPLE),
        ("PasswordPasswordPass", SIMPLE),
        ("aaaaaaaaaaaaaaaaaaaa", SIMPLE),
        ("123456789012345678", SIMPLE),
        ("abcdefghijklmnopq", SIMPLE),
        ("abababababcdcdcdcd", SIMPLE),
        ("Password1234567890!", COMMON),
        ("football 2026 2026", COMMON),
        ("1q2w3e4r5t6y7u8i9o0p", COMMON),
        ("lovelace1234567890", OWN),
        ("Lovelace-example-1!", OWN),
        ("SantaServer2026!!!!", OWN),
        ("admin.santa.admin.1", OWN),
        ("\uff2c\uff4fvelace1234567890", OWN),
    ],
)
def test_a_weak_password_is_refused(password: str, reason: str) -> None:
    found = weakness(password, OWN_WORDS)
    assert found is not None
    assert reason in found


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "a long enough password",
        "fifteen letters",
        "lovelace wrote the first program",
        "päßwörter sind überall",
        "🔑🚪🏠🐕🐈🌳🌊🔥🎈🎁🎵🚲🚀🍎🍐",
        "Xk2-9fQ_zL7v+Tb4",
        "x" * 7 + "not a repetition, long enough" * 10,
    ],
)
def test_a_good_one_needs_no_digits_and_no_capitals(password: str) -> None:
    assert weakness(password, OWN_WORDS) is None


def test_a_shorter_one_is_enough_with_a_second_factor() -> None:
    assert weakness("kite&plum", OWN_WORDS, shortest=8) is None
    assert weakness("password", OWN_WORDS, shortest=8) is not None
    assert weakness("football1", OWN_WORDS, shortest=8) == COMMON


def test_the_list_has_thousands_of_common_passwords() -> None:
    words = LIST.read_text().split()
    assert len(words) == len(set(words)) > 3000
    assert {"password", "12345678", "iloveyou", "sunshine"} <= set(words)


@pytest.mark.parametrize(
    "password", ["fourteen chars", "passwordpassword", "santaserver12345", "Football20262026"]
)
def test_the_rules_hold_wherever_a_password_is_chosen(
    server: RunningServer, admin: httpx.Client, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = admin.post("/api/v1/users", json={"username": "ada", "roles": []}).json()["id"]
    secret = admin.post(f"/api/v1/users/{ada}/setup-link").json()["url"].partition("#")[2]
    before = value(server.dsn, "select size from audit_head")
    own = {"current_password": ADMIN[1], "new_password": password}
    for path, body in (
        ("users", {"username": "bob", "password": password, "roles": []}),
        ("auth/password", own),
        ("setup", {"secret": secret, "password": password}),
    ):
        refused = admin.post(f"/api/v1/{path}", json=body)
        assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY, path
        assert refused.json()["errors"][0]["field"].endswith("password")
        assert password not in refused.text
    assert admin.patch(f"/api/v1/users/{ada}", json={"password": password}).status_code == 422
    monkeypatch.setenv("DATABASE_URL", server.dsn)
    for words in (["create-admin", "root"], ["user", "create", "bob"], ["user", "set-password", "ada"]):
        monkeypatch.setattr(sys, "stdin", io.StringIO(password + "\n"))
        assert main([*words, "--password-stdin"]) == 1
    assert value(server.dsn, "select size from audit_head") == before
