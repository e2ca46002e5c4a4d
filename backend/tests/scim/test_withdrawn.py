"""What a person loses who is deactivated or deleted in the directory, and what the directory cannot touch."""

import json
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from tests.conftest import ADMIN
from tests.live.sockets import closed, socket
from tests.scim.directory import USER, Body, Directory, is_error, path_of
from tests.support.postgres import execute, fetch, value

ME = "/api/v1/auth/me"
PASSWORD = ADMIN[1]


def become(directory: Directory, user: Body, role: str = "viewer", password: bool = True) -> int:
    """Give a provisioned person a role, and for the test a password to log in with."""
    dsn = directory.server.dsn
    number: int = value(dsn, "select user_id from scim_user where scim_id::text = $1", user["id"])
    execute(dsn, "insert into binding (user_id, role, created_at) values ($1, $2, now())", number, role)
    if password:
        execute(
            dsn,
            """update app_user set password_hash =
                 (select password_hash from app_user where username = 'admin') where id = $1""",
            number,
        )
    return number


@pytest.fixture
def lena(directory: Directory) -> Body:
    """Return a person who may look."""
    user = directory.user("lena", externalId="e1")
    become(directory, user)
    return user


@pytest.fixture
def session(directory: Directory, lena: Body) -> Iterator[httpx.Client]:
    """Return a client with her session."""
    with directory.server.client() as client:
        body = {"username": lena["userName"], "password": PASSWORD}
        client.post("/api/v1/auth/login", json=body).raise_for_status()
        yield client


@pytest.mark.parametrize("how", ["deactivated", "put", "removed attribute", "deleted"])
def test_sessions_tokens_and_sockets_end(
    directory: Directory, lena: Body, session: httpx.Client, how: str
) -> None:
    server = directory.server
    ends = (server.clock() + timedelta(days=1)).isoformat()
    body = {"name": "ci", "permissions": ["rule:read"], "expires_at": ends}
    secret = session.post("/api/v1/tokens", json=body).json()["secret"]
    bearer = {"Authorization": f"Bearer {secret}"}
    with server.client() as program, socket(server, session) as live:
        assert program.get(ME, headers=bearer).status_code == httpx.codes.OK
        if how == "deactivated":
            directory.patch(path_of(lena), {"op": "Replace", "path": "active", "value": "False"})
        elif how == "put":
            put = {"schemas": [USER], "userName": "lena", "externalId": "e1", "active": False}
            directory.send("PUT", path_of(lena), put)
        elif how == "removed attribute":
            directory.patch(path_of(lena), {"op": "remove", "path": "active"})
        else:
            directory.send("DELETE", path_of(lena))
        assert session.get(ME).status_code == httpx.codes.UNAUTHORIZED
        assert program.get(ME, headers=bearer).status_code == httpx.codes.UNAUTHORIZED
        closed(live)
    login = {"username": "lena", "password": PASSWORD}
    assert session.post("/api/v1/auth/login", json=login).status_code == httpx.codes.UNAUTHORIZED
    action = "user_deprovisioned" if how == "deleted" else "user_changed"
    entries = fetch(server.dsn, "select action, actor_name from audit_log where actor_kind = 'scim'")
    found = {(row["action"], row["actor_name"]) for row in entries}
    assert found >= {("token_revoked", "SCIM (Entra)"), (action, "SCIM (Entra)")}


def test_tokens_do_not_come_back_with_their_owner(
    directory: Directory, lena: Body, session: httpx.Client
) -> None:
    ends = (directory.server.clock() + timedelta(days=1)).isoformat()
    body = {"name": "ci", "permissions": ["rule:read"], "expires_at": ends}
    secret = session.post("/api/v1/tokens", json=body).json()["secret"]
    for spelling in ("False", "True"):
        directory.patch(path_of(lena), {"op": "Replace", "path": "active", "value": spelling})
    with directory.server.client(Authorization=f"Bearer {secret}") as program:
        assert program.get(ME).status_code == httpx.codes.UNAUTHORIZED
    login = {"username": "lena", "password": PASSWORD}
    assert session.post("/api/v1/auth/login", json=login).status_code == httpx.codes.OK


def test_who_is_disabled_here_is_not_enabled_there(
    directory: Directory, admin: httpx.Client, lena: Body
) -> None:
    number = value(directory.server.dsn, "select id from app_user where username = 'lena'")
    assert admin.patch(f"/api/v1/users/{number}", json={"disabled": True}).is_success
    for spelling in ("False", "True"):
        response = directory.patch(path_of(lena), {"op": "Replace", "path": "active", "value": spelling})
        assert response.status_code == httpx.codes.OK
    shown = admin.get(f"/api/v1/users/{number}").json()
    assert (shown["disabled"], shown["deprovisioned"]) == (True, False)


def only_administrator(directory: Directory, user: Body) -> None:
    """Make a provisioned person the only administrator."""
    become(directory, user, "admin", password=False)
    execute(directory.server.dsn, "update app_user set disabled_at = now() where username = 'admin'")


@pytest.fixture
def _enabled(directory: Directory) -> Iterator[None]:
    """Let the administrator be one again."""
    yield
    execute(directory.server.dsn, "update app_user set disabled_at = null where username = 'admin'")


@pytest.mark.usefixtures("_enabled")
def test_the_last_administrator_stays(directory: Directory) -> None:
    user = directory.user("boss", externalId="b")
    only_administrator(directory, user)
    path = path_of(user)
    told = {"schemas": [USER], "userName": "boss", "active": False}
    for response in (
        directory.patch(path, {"op": "Replace", "path": "active", "value": "False"}),
        directory.patch(path, {"op": "remove", "path": "active"}),
        directory.send("PUT", path, told),
        directory.send("DELETE", path),
    ):
        assert is_error(response, 409)
        assert "admin" in response.json()["detail"]
    assert directory.get(path) == user
    other = directory.user("other")
    become(directory, other, "admin", password=False)
    assert directory.send("DELETE", path).status_code == httpx.codes.NO_CONTENT


@pytest.mark.usefixtures("_enabled")
def test_the_group_of_the_last_administrator_stays(directory: Directory) -> None:
    user = directory.user("boss")
    group = directory.group("Admins", user)
    dsn = directory.server.dsn
    execute(
        dsn,
        """insert into binding (group_id, role, created_at)
           select group_id, 'admin', now() from scim_group where scim_id::text = $1""",
        group["id"],
    )
    execute(dsn, "update app_user set disabled_at = now() where username = 'admin'")
    for response in (
        directory.patch(path_of(group), {"op": "remove", "path": "members"}),
        directory.send("PUT", path_of(group), {**group, "members": []}),
        directory.send("DELETE", path_of(group)),
        directory.send("DELETE", path_of(user)),
    ):
        assert is_error(response, 409)
    assert directory.members(group) == [user["id"]]


def test_local_accounts_are_none_of_the_directory(directory: Directory, admin: httpx.Client) -> None:
    assert directory.get("/Users")["totalResults"] == 0
    assert directory.found("/Users", 'userName eq "admin"') == []
    made = directory.user("ADMIN")
    number = value(directory.server.dsn, "select user_id from scim_user")
    assert admin.get(f"/api/v1/users/{number}").json()["username"] == "admin (2)"
    directory.send("DELETE", path_of(made))
    assert admin.get(ME).status_code == httpx.codes.OK


def test_roles_come_and_go_with_a_group(directory: Directory, lena: Body, session: httpx.Client) -> None:
    group = directory.group("Operators")
    execute(
        directory.server.dsn,
        """insert into binding (group_id, role, created_at)
           select group_id, 'operator', now() from scim_group where scim_id::text = $1""",
        group["id"],
    )

    def may() -> bool:
        return "rule:write" in session.get(ME).json()["permissions"]

    assert not may()
    directory.patch(path_of(group), {"op": "Add", "path": "members", "value": [{"value": lena["id"]}]})
    assert may()
    directory.patch(path_of(group), {"op": "Remove", "path": f'members[value eq "{lena["id"]}"]'})
    assert not may()


def test_names_are_those_of_the_directory(directory: Directory, admin: httpx.Client) -> None:
    user = directory.user("Lena@x.org", name={"givenName": "Lena", "familyName": "K"})
    number = value(directory.server.dsn, "select user_id from scim_user")

    def shown() -> tuple[str, str]:
        account = admin.get(f"/api/v1/users/{number}").json()
        return account["username"], account["display_name"]

    assert shown() == ("lena@x.org", "Lena K")
    directory.patch(path_of(user), {"op": "add", "value": {"displayName": "L. K.", "userName": "lk@x.org"}})
    assert shown() == ("lk@x.org", "L. K.")
    assert admin.get(f"/api/v1/users/{number}").json()["source"] == "scim"


def test_who_is_deleted_is_not_shown_any_more_but_stays_known(
    directory: Directory, admin: httpx.Client
) -> None:
    user = directory.user("lena", externalId="e1", title="Boss")
    number = become(directory, user, "operator", password=False)
    directory.send("DELETE", path_of(user))
    account = admin.get(f"/api/v1/users/{number}").json()
    assert (account["deprovisioned"], account["roles"], account["groups"]) == (True, [], [])
    kept = value(directory.server.dsn, "select to_jsonb(s)::text from scim_user s")
    assert "Boss" not in kept
    assert json.loads(kept)["external_id"] == "e1"
    again = directory.user("lena", externalId="e1")
    assert again["id"] != user["id"]
    assert admin.get(f"/api/v1/users/{number}").json()["deprovisioned"] is False
    assert directory.get("/Users")["totalResults"] == 1


def test_who_could_not_sign_in_anyway_is_deleted(directory: Directory, admin: httpx.Client) -> None:
    user = directory.user("lena")
    number = value(directory.server.dsn, "select user_id from scim_user")
    directory.send("DELETE", path_of(user))
    assert admin.get(f"/api/v1/users/{number}").status_code == httpx.codes.NOT_FOUND


def test_every_change_is_in_the_audit_log_and_what_changes_nothing_is_not(directory: Directory) -> None:
    dsn = directory.server.dsn
    execute(dsn, "select 1")
    before = value(dsn, "select coalesce(max(id), 0) from audit_log")
    user = directory.user("lena", title="Boss")
    directory.patch(path_of(user), {"op": "replace", "path": "title", "value": "Boss"})
    directory.patch(path_of(user), {"op": "replace", "path": "title", "value": "Chief"})
    group = directory.group("Lab", user)
    directory.patch(path_of(group), {"op": "add", "path": "members", "value": [{"value": user["id"]}]})
    directory.patch(path_of(group), {"op": "remove", "path": "members"})
    directory.send("DELETE", path_of(group))
    directory.send("DELETE", path_of(user))
    entries = fetch(dsn, "select * from audit_log where id > $1 order by id", before)
    assert [row["action"] for row in entries] == [
        "user_provisioned",
        "user_changed",
        "group_created",
        "group_changed",
        "group_removed",
        "user_deprovisioned",
    ]
    assert {(row["actor_kind"], row["address"]) for row in entries} == {("scim", "127.0.0.1")}
    assert json.loads(entries[1]["after"])["attributes"]["title"] == "Chief"
    assert json.loads(entries[3]["after"])["members_removed"] == [user["id"]]
