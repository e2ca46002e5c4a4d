"""SCIM tokens: valid for SCIM and nothing else, shown once, rotated with overlap, revoked at once."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from santaserver.tokens.secret import SCIM as PREFIX
from santaserver.tokens.secret import has_form, is_well_formed, new_secret, new_token
from tests.scim.directory import SCIM, TOKENS, Body, Directory, is_error
from tests.scim.directory import new_token as scim_token
from tests.support.postgres import execute, fetch, value
from tests.support.server import RunningServer

USERS = f"{SCIM}/Users"
FOREIGN = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiI4YWRmOGU2ZS02N2IyLTRjZjItYTI1OS1lM2RjNTQ3NmM2MjEifQ.c2ln"
"""As Entra sends when its Secret Token is left blank: its audience is that of all its customers."""


@pytest.fixture(autouse=True)
def _first(directory: Directory) -> None:
    """Forget the refused tokens of the tests before."""
    execute(directory.server.dsn, "delete from login_failure")
    execute(directory.server.dsn, "update scim_token set revoked_at = now() where name <> 'Entra'")


def with_token(directory: Directory, secret: str, path: str = USERS) -> httpx.Response:
    return directory.client.get(path, headers={"Authorization": f"Bearer {secret}"})


def ends(server: RunningServer, **amount: float) -> str:
    return (server.clock() + timedelta(**amount)).isoformat()


def test_it_is_shown_once_and_stored_as_a_hash(directory: Directory, admin: httpx.Client) -> None:
    made = scim_token(admin, directory.server, name="Okta", networks=["127.0.0.0/8"])
    secret = made["secret"]
    assert has_form(secret, PREFIX)
    assert not is_well_formed(secret)
    assert made["token"]["hint"] == secret[:12]
    shown = admin.get(f"{TOKENS}/{made['token']['id']}").json()
    assert shown == made["token"]
    assert secret not in admin.get(TOKENS).text
    stored = value(directory.server.dsn, "select to_jsonb(t)::text from scim_token t where name = 'Okta'")
    assert secret not in stored
    assert with_token(directory, secret).status_code == httpx.codes.OK
    used = admin.get(f"{TOKENS}/{made['token']['id']}").json()
    assert used["last_used_at"] is not None
    assert used["last_address"] == "127.0.0.1"
    text = value(directory.server.dsn, "select string_agg(after::text, '') from audit_log")
    assert '"Okta"' in text
    assert secret not in text


def test_it_is_valid_for_scim_only(directory: Directory, admin: httpx.Client) -> None:
    secret = scim_token(admin, directory.server, name="Okta")["secret"]
    for path in ("/api/v1/auth/me", "/api/v1/users", "/api/v1/scim", TOKENS, "/api/v1/rules"):
        assert with_token(directory, secret, path).status_code == httpx.codes.UNAUTHORIZED
    response = directory.client.post("/api/v1/rules", json={}, headers={"Authorization": f"Bearer {secret}"})
    assert response.status_code == httpx.codes.UNAUTHORIZED


def test_an_api_token_and_a_session_are_nothing_here(directory: Directory, admin: httpx.Client) -> None:
    body = {"name": "ci", "permissions": ["user:read"], "expires_at": ends(directory.server, days=1)}
    secret = admin.post("/api/v1/tokens", json=body).json()["secret"]
    assert with_token(directory, secret, "/api/v1/users").status_code == httpx.codes.OK
    refused = with_token(directory, secret)
    assert is_error(refused, 401)
    assert "API token" in refused.json()["detail"]
    assert is_error(admin.get(USERS), 401)
    assert is_error(admin.delete(USERS), 401)


@pytest.mark.parametrize(
    "secret",
    [
        FOREIGN,
        "x",
        new_secret(PREFIX),
        new_secret(PREFIX)[:-1] + "~",
        new_token("person"),
        new_token("service"),
        "x" * 10_000,
        "é" * 46,
    ],
    ids=["Entra's own", "short", "unknown", "misspelled", "person's", "service's", "long", "no ASCII"],
)
def test_another_token_is_refused(directory: Directory, secret: str) -> None:
    refused = directory.client.get(USERS, headers=[(b"Authorization", f"Bearer {secret}".encode())])
    assert is_error(refused, 401)
    assert refused.headers["www-authenticate"].startswith("Bearer ")
    assert ("Entra" in refused.json()["detail"]) == (secret == FOREIGN)
    assert secret not in refused.text or secret == "x"


@pytest.mark.parametrize("header", ["Basic YWRtaW46eA==", "", "bearer", "Token x"])
def test_another_scheme_is_refused(directory: Directory, header: str) -> None:
    assert is_error(directory.client.get(USERS, headers={"Authorization": header}), 401)


def test_nothing_is_read_of_a_stranger(directory: Directory) -> None:
    for path in ("/Users", "/ServiceProviderConfig", "/Nothing"):
        response = directory.client.post(
            SCIM + path, content=b"x" * 3_000_000, headers={"Authorization": "Bearer x"}
        )
        assert is_error(response, 401)


def test_it_ends(directory: Directory, admin: httpx.Client) -> None:
    server = directory.server
    made = scim_token(admin, server, name="short", expires_at=ends(server, minutes=5))
    assert with_token(directory, made["secret"]).status_code == httpx.codes.OK
    execute(
        server.dsn,
        "update scim_token set created_at = now() - interval '1 day', expires_at = now() where name = $1",
        "short",
    )
    assert is_error(with_token(directory, made["secret"]), 401)


def test_it_is_revoked_at_once(directory: Directory, admin: httpx.Client) -> None:
    made = scim_token(admin, directory.server, name="gone")
    assert with_token(directory, made["secret"]).status_code == httpx.codes.OK
    path = f"{TOKENS}/{made['token']['id']}"
    assert admin.delete(path).status_code == httpx.codes.NO_CONTENT
    assert is_error(with_token(directory, made["secret"]), 401)
    assert admin.get(path).json()["revoked"] is True
    assert admin.post(f"{path}/rotate", json={}).status_code == httpx.codes.CONFLICT
    assert admin.delete(path).status_code == httpx.codes.NO_CONTENT
    assert admin.delete(f"{TOKENS}/999999").status_code == httpx.codes.NOT_FOUND


def test_it_is_rotated_with_overlap(directory: Directory, admin: httpx.Client) -> None:
    server = directory.server
    made = scim_token(admin, server, name="Okta")
    path = f"{TOKENS}/{made['token']['id']}/rotate"
    rotated = admin.post(path, json={"previous_valid_until": ends(server, hours=1)}).json()
    for secret in (made["secret"], rotated["secret"]):
        assert with_token(directory, secret).status_code == httpx.codes.OK
    shown = admin.get(path.removesuffix("/rotate")).json()
    assert shown["previous"]["last_used_at"] is not None
    execute(server.dsn, "update scim_token set previous_until = now() where previous_until is not null")
    assert is_error(with_token(directory, made["secret"]), 401)
    again = admin.post(path, json={}).json()
    assert is_error(with_token(directory, rotated["secret"]), 401)
    assert with_token(directory, again["secret"]).status_code == httpx.codes.OK
    too_long = admin.post(path, json={"previous_valid_until": ends(server, days=31)})
    assert too_long.status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_it_is_for_some_networks(directory: Directory, admin: httpx.Client) -> None:
    made = scim_token(admin, directory.server, name="far", networks=["203.0.113.0/24"])
    assert is_error(with_token(directory, made["secret"]), 401)
    headers = {"Authorization": f"Bearer {made['secret']}", "X-Real-IP": "203.0.113.9"}
    assert directory.client.get(USERS, headers=headers).status_code == httpx.codes.OK


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"networks": ["10.0.0.1/8"]},
        {"expires_at": None},
        {"expires_at": "2999-01-01T00:00:00Z"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"permissions": ["user:write"]},
    ],
)
def test_it_needs_sound_values(directory: Directory, admin: httpx.Client, fields: dict[str, Any]) -> None:
    body = {"name": "x", "expires_at": ends(directory.server, days=1), **fields}
    assert admin.post(TOKENS, json=body).status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_names_are_unique_until_they_are_revoked(directory: Directory, admin: httpx.Client) -> None:
    made = scim_token(admin, directory.server, name="Okta")
    body: Body = {"name": "OKTA", "expires_at": ends(directory.server, days=1)}
    assert admin.post(TOKENS, json=body).status_code == httpx.codes.CONFLICT
    admin.delete(f"{TOKENS}/{made['token']['id']}")
    assert admin.post(TOKENS, json=body).status_code == httpx.codes.CREATED


def test_it_is_made_by_a_person_who_logged_in_a_moment_ago(directory: Directory, admin: httpx.Client) -> None:
    server = directory.server
    body = {"name": "old", "expires_at": ends(server, days=1)}
    execute(server.dsn, "update user_session set authenticated_at = authenticated_at - interval '1 hour'")
    refused = admin.post(TOKENS, json=body)
    assert (refused.status_code, refused.json()["code"]) == (httpx.codes.FORBIDDEN, "fresh_login_required")


def test_many_wrong_tokens_are_answered_429_and_the_right_one_still_works(directory: Directory) -> None:
    answers = {with_token(directory, new_secret(PREFIX)).status_code for _ in range(40)}
    assert answers == {httpx.codes.UNAUTHORIZED, httpx.codes.TOO_MANY_REQUESTS}
    assert directory.get("/Users")["totalResults"] == 0
    entries = fetch(
        directory.server.dsn, "select object_type from audit_log where action = 'token_refused' order by id"
    )
    assert {row["object_type"] for row in entries} <= {"scim_token", "token"}


def test_the_console_is_told_what_was_provisioned(directory: Directory, admin: httpx.Client) -> None:
    directory.user("lena")
    directory.user("omar", active=False)
    directory.group("Lab")
    assert admin.get("/api/v1/scim").json() == {
        "url": "http://testserver/scim/v2",
        "users": 2,
        "active_users": 1,
        "groups": 1,
        "unlinked_users": 0,
    }
