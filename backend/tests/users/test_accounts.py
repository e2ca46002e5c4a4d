"""Users and their roles, by REST and on the command line."""

import io
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Barrier
from typing import Any

import httpx
import pytest

from santaserver.__main__ import main
from santaserver.permission_docs import markdown
from santaserver.users.session_watch import SessionWatch
from tests.conftest import ADMIN
from tests.support.postgres import execute, fetch, value
from tests.support.server import RunningServer

PASSWORD = "a long enough password"
USERS = "/api/v1/users"


def create(admin: httpx.Client, name: str = "ada", **fields: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    body = {"username": name, "password": PASSWORD, "roles": [{"role": "viewer"}], **fields}
    return admin.post(USERS, json=body)


def held(user: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return the roles of a user, with the tags that limit them."""
    return [(one["role"], one["tag"]) for one in user["roles"]]


@contextmanager
def logged_in(server: RunningServer, name: str, password: str = PASSWORD) -> Iterator[httpx.Client]:
    with server.client() as client:
        log_in(client, name, password)
        yield client


def log_in(client: httpx.Client, name: str, password: str = PASSWORD) -> None:
    client.post("/api/v1/auth/login", json={"username": name, "password": password})


def test_a_user_is_created_and_can_log_in(server: RunningServer, admin: httpx.Client) -> None:
    admin.post("/api/v1/tags", json={"name": "Lab"})
    made = create(admin, " Ada ", roles=[{"role": "operator", "tag": "lab"}, {"role": "auditor"}])
    assert made.status_code == httpx.codes.CREATED
    user = made.json()
    assert (user["username"], user["display_name"], user["disabled"]) == ("ada", "Ada", False)
    assert held(user) == [("operator", "Lab"), ("auditor", None)]
    with logged_in(server, "ADA") as client:
        assert held(client.get("/api/v1/auth/me").json()) == held(user)
    assert admin.get(f"{USERS}/{user['id']}").json() == user
    assert [one["username"] for one in admin.get(USERS).json()["items"]] == ["ada", "admin"]
    entry = fetch(server.dsn, "select action, after::text from audit_log where after->>'username' = 'ada'")
    assert [one["action"] for one in entry] == ["user_created"]
    assert PASSWORD not in entry[0]["after"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"username": "admin"}, 409),
        ({"username": "ADMIN"}, 409),
        ({"username": "  "}, 422),
        ({"username": ""}, 422),
        ({"password": "too short"}, 422),
        ({"roles": [{"role": "root"}]}, 422),
        ({"roles": [{"role": "viewer", "tag": "nowhere"}]}, 422),
        ({"roles": [{"role": "viewer", "tags": ["lab"]}]}, 422),
        ({"roles": None}, 422),
        ({"role": "admin"}, 422),
    ],
)
def test_a_bad_user_is_refused_and_nothing_is_stored(
    server: RunningServer, admin: httpx.Client, fields: dict[str, Any], status: int
) -> None:
    assert create(admin, **fields).status_code == status
    assert value(server.dsn, "select count(*) from app_user") == 1
    assert value(server.dsn, "select count(*) from binding") == 1


@pytest.fixture
def deaf(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    """A worker that does not hear PostgreSQL's notifications."""
    monkeypatch.setattr(SessionWatch, "_heard", lambda *_: None)
    with RunningServer(server.dsn) as running:
        yield running


def test_roles_change_open_sessions_at_once(deaf: RunningServer) -> None:
    rule = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
    with logged_in(deaf, *ADMIN) as admin, deaf.client() as client:
        user = create(admin).json()
        log_in(client, "ada")
        assert client.post("/api/v1/rules", json=rule).status_code == httpx.codes.FORBIDDEN
        admin.patch(f"{USERS}/{user['id']}", json={"roles": [{"role": "approver"}]})
        assert client.post("/api/v1/rules", json=rule).status_code == httpx.codes.CREATED
        admin.patch(f"{USERS}/{user['id']}", json={"roles": []})
        assert client.get("/api/v1/rules").status_code == httpx.codes.FORBIDDEN
        assert client.get("/api/v1/auth/me").json()["permissions"] == []


@pytest.mark.parametrize("change", [{"disabled": True}, {"password": "another long password"}])
def test_a_disabled_user_and_an_old_password_are_out(deaf: RunningServer, change: dict[str, object]) -> None:
    with logged_in(deaf, *ADMIN) as admin, deaf.client() as client:
        user = create(admin).json()
        log_in(client, "ada")
        assert client.get("/api/v1/auth/me").status_code == httpx.codes.OK
        assert admin.patch(f"{USERS}/{user['id']}", json=change).status_code == httpx.codes.OK
        assert client.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED
        with logged_in(deaf, "ada") as again:
            assert again.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED
        admin.patch(f"{USERS}/{user['id']}", json={"disabled": False, "password": PASSWORD})
        with logged_in(deaf, "ada") as back:
            assert back.get("/api/v1/auth/me").status_code == httpx.codes.OK


@pytest.mark.parametrize(
    "change",
    [{"disabled": True}, {"roles": []}, {"roles": [{"role": "operator"}, {"role": "admin", "tag": "lab"}]}],
)
def test_the_last_administrator_stays(admin: httpx.Client, change: dict[str, object]) -> None:
    admin.post("/api/v1/tags", json={"name": "lab"})
    own = admin.get("/api/v1/auth/me").json()["id"]
    refused = admin.patch(f"{USERS}/{own}", json=change)
    assert refused.status_code == httpx.codes.CONFLICT
    assert admin.get("/api/v1/auth/me").json()["role"] == "admin"
    create(admin, "second", roles=[{"role": "admin"}])
    assert admin.patch(f"{USERS}/{own}", json=change).status_code == httpx.codes.OK


def test_a_removed_tag_takes_its_roles_with_it(deaf: RunningServer) -> None:
    with logged_in(deaf, *ADMIN) as admin, deaf.client() as client:
        tag = admin.post("/api/v1/tags", json={"name": "lab"}).json()["id"]
        user = create(admin, roles=[{"role": "operator", "tag": "lab"}]).json()
        log_in(client, "ada")
        assert client.get("/api/v1/rules").status_code == httpx.codes.OK
        assert admin.delete(f"/api/v1/tags/{tag}").status_code == httpx.codes.NO_CONTENT
        assert admin.get(f"{USERS}/{user['id']}").json()["roles"] == []
        assert client.get("/api/v1/rules").status_code == httpx.codes.FORBIDDEN


def at_once(*acts: Callable[[], httpx.Response]) -> list[int]:
    """Send requests at the same time; return their status codes in order."""
    ready = Barrier(len(acts))

    def act(send: Callable[[], httpx.Response]) -> int:
        ready.wait(timeout=30)
        return send().status_code

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(act, acts))


def test_two_administrators_cannot_both_lose_the_role(server: RunningServer, admin: httpx.Client) -> None:
    own = admin.get("/api/v1/auth/me").json()["id"]
    other = create(admin, "other", roles=[{"role": "admin"}]).json()["id"]
    everything = {"roles": [{"role": "admin"}], "disabled": False}
    with RunningServer(server.dsn) as elsewhere, logged_in(elsewhere, "other") as second:
        changes: list[dict[str, Any]] = [{"roles": []}, {"disabled": True}, {"roles": [{"role": "auditor"}]}]
        for change in changes:
            codes = at_once(
                partial(admin.patch, f"{USERS}/{other}", json=change),
                partial(second.patch, f"{USERS}/{own}", json=change),
            )
            assert min(codes) == httpx.codes.OK
            assert codes != [httpx.codes.OK] * 2
            standing = admin if codes[0] == httpx.codes.OK else second
            assert standing.get("/api/v1/auth/me").json()["role"] == "admin"
            assert set(codes) <= {200, 401, 403, 409}
            for number in (own, other):
                standing.patch(f"{USERS}/{number}", json=everything).raise_for_status()
            log_in(admin, *ADMIN)
            log_in(second, "other")


def test_a_role_is_not_given_for_a_tag_that_is_gone(server: RunningServer, admin: httpx.Client) -> None:
    tag = admin.post("/api/v1/tags", json={"name": "lab"}).json()["id"]
    user = create(admin, roles=[]).json()["id"]
    wanted = {"roles": [{"role": "operator", "tag": "lab"}]}
    codes = at_once(
        lambda: admin.patch(f"{USERS}/{user}", json=wanted), lambda: admin.delete(f"/api/v1/tags/{tag}")
    )
    assert codes in ([200, 204], [422, 204])
    assert value(server.dsn, "select count(*) from binding where tag_id is not null") == 0
    refused = admin.patch(f"{USERS}/{user}", json=wanted)
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "There is no tag lab" in refused.text
    admin.post("/api/v1/tags", json={"name": "lab"}).raise_for_status()
    assert admin.get(f"{USERS}/{user}").json()["roles"] == [], "a new tag of that name gives nobody a role"


def test_a_stored_role_for_a_removed_tag_reaches_nothing(server: RunningServer, admin: httpx.Client) -> None:
    tag = admin.post("/api/v1/tags", json={"name": "lab"}).json()["id"]
    rule = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST", "layer": "tag:lab"}
    made = admin.post("/api/v1/rules", json=rule).json()["id"]
    user = create(admin, roles=[]).json()["id"]
    admin.delete(f"/api/v1/tags/{tag}").raise_for_status()
    execute(
        server.dsn,
        "insert into binding (user_id, role, tag_id, created_at) values ($1, 'operator', $2, now())",
        user,
        tag,
    )
    with logged_in(server, "ada") as client:
        assert client.get("/api/v1/rules").json()["items"] == []
        assert client.get(f"/api/v1/rules/{made}").status_code == httpx.codes.NOT_FOUND
        assert client.post("/api/v1/rules", json=rule).status_code == httpx.codes.NOT_FOUND
        assert client.get(f"/api/v1/tags/{tag}").status_code == httpx.codes.NOT_FOUND
        assert client.get("/api/v1/machines").json()["items"] == []


@pytest.mark.parametrize(
    "number", ["0", "-1", "1.5", "1e3", "9223372036854775808", "me", "%00", "1%2F2", "٣"]
)
def test_an_odd_number_of_a_user_is_refused(admin: httpx.Client, number: str) -> None:
    for code in (
        admin.get(f"{USERS}/{number}").status_code,
        admin.patch(f"{USERS}/{number}", json={"roles": []}).status_code,
    ):
        assert code in {httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY}
    assert admin.get(f"{USERS}/9223372036854775807").status_code == httpx.codes.NOT_FOUND


def test_the_same_role_twice_is_one(admin: httpx.Client) -> None:
    admin.post("/api/v1/tags", json={"name": "Lab"}).raise_for_status()
    roles = [{"role": "viewer", "tag": "lab"}, {"role": "viewer", "tag": "LAB"}, {"role": "viewer"}]
    made = create(admin, roles=[*roles, *roles]).json()
    assert held(made) == [("viewer", "Lab"), ("viewer", None)]


def command(dsn: str, monkeypatch: pytest.MonkeyPatch, *words: str, password: str = PASSWORD) -> int:
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setattr(sys, "stdin", io.StringIO(password + "\n"))
    return main(["user", *words])


def test_users_are_managed_on_the_command_line(
    server: RunningServer,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*words: str, password: str = PASSWORD) -> int:
        return command(server.dsn, monkeypatch, *words, password=password)

    def listed() -> list[list[str]]:
        capsys.readouterr()
        assert run("list") == 0
        return [line.split("\t")[1:] for line in capsys.readouterr().out.splitlines()]

    admin.post("/api/v1/tags", json={"name": "lab"})
    assert run("create", "Ada", "--role", "operator", "--tag", "lab", "--password-stdin") == 0
    assert listed() == [["ada", "enabled", "operator@lab"], ["admin", "enabled", "admin"]]
    assert run("grant", "ada", "auditor") == 0
    assert run("revoke", "ada", "operator", "--tag", "LAB") == 0
    assert listed()[0] == ["ada", "enabled", "auditor"]
    assert run("set-password", "ada", "--password-stdin", password="a newer long password") == 0
    with logged_in(server, "ada", "a newer long password") as client:
        assert client.get("/api/v1/auth/me").json()["role"] == "auditor"
        assert run("disable", "ada") == 0
    assert listed()[0] == ["ada", "disabled", "auditor"]
    assert run("enable", "ada") == 0
    actors = fetch(server.dsn, "select distinct actor_name from audit_log where action = 'user_changed'")
    assert [row["actor_name"] for row in actors] == ["system"]


def test_roles_of_ones_own_and_groups_are_given_on_the_command_line(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str) -> int:
        return command(server.dsn, monkeypatch, *words)

    def shown() -> dict[str, Any]:
        [user] = [one for one in admin.get(USERS).json()["items"] if one["username"] == "ada"]
        return {"roles": held(user), "groups": user["groups"]}

    role = {"name": "Rule reader", "permissions": ["rule:read"]}
    admin.post("/api/v1/roles", json=role).raise_for_status()
    admin.post("/api/v1/groups", json={"name": "Night shift"}).raise_for_status()
    assert run("create", "ada", "--role", "rule reader", "--password-stdin") == 0
    assert run("grant", "ada", "viewer") == 0
    assert run("join-group", "ada", "night SHIFT") == 0
    assert shown() == {"roles": [("Rule reader", None), ("viewer", None)], "groups": ["Night shift"]}
    assert run("revoke", "ada", "RULE reader") == 0
    assert run("leave-group", "ada", "Night shift") == 0
    assert shown() == {"roles": [("viewer", None)], "groups": []}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("grant", "admin", "raeder"), "There is no role raeder; there are viewer, "),
        (("grant", "admin", "raeder"), "admin, auditor, Rule reader"),
        (("join-group", "admin", "day"), "There is no local group day; local groups: Night shift"),
        (("join-group", "nobody", "night shift"), "There is no such user"),
        (("leave-group", "admin", "night shift"), "This user is not in the group"),
    ],
)
def test_the_command_line_says_which_roles_and_groups_there_are(
    server: RunningServer,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    role = {"name": "Rule reader", "permissions": ["rule:read"]}
    admin.post("/api/v1/roles", json=role).raise_for_status()
    admin.post("/api/v1/groups", json={"name": "Night shift"}).raise_for_status()
    assert command(server.dsn, monkeypatch, *words) == 1
    assert said in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "words",
    [
        ("create", "admin", "--role", "viewer", "--password-stdin"),
        ("create", "ada", "--role", "viewer", "--tag", "nowhere", "--password-stdin"),
        ("grant", "nobody", "viewer"),
        ("revoke", "admin", "viewer"),
        ("revoke", "admin", "admin"),
        ("disable", "admin"),
        ("disable", "nobody"),
    ],
)
def test_a_refused_command_changes_nothing(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    before = fetch(server.dsn, "select user_id, role, tag_id from binding")
    assert command(server.dsn, monkeypatch, *words) == 1
    assert fetch(server.dsn, "select user_id, role, tag_id from binding") == before
    assert value(server.dsn, "select count(*) from app_user where disabled_at is not null") == 0


def test_an_unknown_role_of_a_user_stays_when_others_change(
    server: RunningServer, admin: httpx.Client
) -> None:
    user = create(admin).json()
    execute(server.dsn, "update binding set role = 'superuser' where user_id = $1", user["id"])
    assert held(admin.get(f"{USERS}/{user['id']}").json()) == [("superuser", None)]
    renamed = admin.patch(f"{USERS}/{user['id']}", json={"display_name": "Ada Lovelace"})
    assert held(renamed.json()) == [("superuser", None)]


def test_the_page_about_permissions_names_every_endpoint(admin: httpx.Client) -> None:
    page = markdown()
    for path in admin.get("/api/v1/openapi.json").json()["paths"]:
        assert f"`{path}`" in page
    assert "| WebSocket | `/api/v1/live` | `live:read` |" in page
