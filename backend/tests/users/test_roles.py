"""Custom roles: what they may contain, what may change, and what goes with them."""

import httpx
import pytest

from santaserver.permissions import PERMISSIONS, Permission, Role
from tests.support.postgres import execute
from tests.support.server import RunningServer
from tests.users.people import GROUPS, ROLES, USERS, group_with, made, permissions, person, session


def test_a_role_grants_what_it_is_made_of(server: RunningServer, admin: httpx.Client) -> None:
    made(admin, "/api/v1/tags", name="lab")
    names = ["machine:read", "live:read", "enrollment:read"]
    role = made(admin, ROLES, name="Help desk", description="first level", permissions=names)
    ada = person(server, "ada")
    admin.patch(f"{USERS}/{ada}", json={"roles": [{"role": "help DESK"}]}).raise_for_status()
    with session(server, "ada") as client:
        assert permissions(client) == dict.fromkeys(["live:read", "machine:read", "enrollment:read"])
        assert client.get("/api/v1/machines").status_code == httpx.codes.OK
        assert client.get("/api/v1/rules").status_code == httpx.codes.FORBIDDEN
        changed = admin.patch(f"{ROLES}/{role['id']}", json={"permissions": ["rule:read"], "name": "Desk"})
        assert changed.json()["permissions"] == ["rule:read"]
        assert permissions(client) == {"rule:read": None}
        assert client.get("/api/v1/machines").status_code == httpx.codes.FORBIDDEN
        admin.patch(f"{USERS}/{ada}", json={"roles": [{"role": "Desk", "tag": "lab"}]}).raise_for_status()
        assert permissions(client) == {"rule:read": ["lab"]}
    assert admin.get(f"{USERS}/{ada}").json()["roles"][0]["role"] == "Desk"


def test_the_list_has_all_roles_and_all_permissions(server: RunningServer, admin: httpx.Client) -> None:
    made(admin, ROLES, name="Desk", permissions=["rule:read"])
    admin.patch(f"{USERS}/{person(server, 'ada')}", json={"roles": [{"role": "Desk"}]})
    shown = admin.get(ROLES).json()
    assert [one["name"] for one in shown["items"]] == [*Role, "Desk"]
    assert [(one["id"] is None, one["users"]) for one in shown["items"]][-2:] == [(True, 0), (False, 1)]
    assert [set(one["permissions"]) for one in shown["items"][:-1]] == [PERMISSIONS[role] for role in Role]
    assert [one["name"] for one in shown["permissions"]] == list(Permission)


@pytest.mark.parametrize("name", [*Role, "Admin", "VIEWER"])
def test_roles_that_come_with_the_program_stay_as_they_are(admin: httpx.Client, name: str) -> None:
    assert admin.post(ROLES, json={"name": name, "permissions": ["rule:read"]}).status_code == 409
    own = made(admin, ROLES, name="own", permissions=["rule:read"])["id"]
    assert admin.patch(f"{ROLES}/{own}", json={"name": name}).status_code == httpx.codes.CONFLICT
    for method in ("PATCH", "DELETE"):
        assert admin.request(method, f"{ROLES}/{name}", json={"name": "x"}).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "permissions": []},
        {"name": "x", "permissions": ["rule:paint"]},
        {"name": "x", "permissions": ["*"]},
        {"name": "x", "permissions": ["RULE:READ"]},
        {"name": "x", "permissions": ["rule:read"], "id": 1},
        {"name": "x", "permissions": ["rule:read"], "builtin": True},
        {"name": "\u0430dmin", "permissions": ["rule:read"]},
        {"name": "\uff41dmin", "permissions": ["rule:read"]},
        {"name": " admin", "permissions": ["rule:read"]},
        {"name": "ad\u200bmin", "permissions": ["rule:read"]},
        {"name": "", "permissions": ["rule:read"]},
        {"name": "x" * 101, "permissions": ["rule:read"]},
        {"permissions": ["rule:read"]},
    ],
)
def test_what_makes_no_role_is_refused(admin: httpx.Client, body: object) -> None:
    assert admin.post(ROLES, json=body).status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_a_name_is_taken_in_any_case(admin: httpx.Client) -> None:
    made(admin, ROLES, name="Desk", permissions=["rule:read"])
    other = made(admin, ROLES, name="Other", permissions=["rule:read"])["id"]
    assert admin.post(ROLES, json={"name": "dESK", "permissions": ["tag:read"]}).status_code == 409
    assert admin.patch(f"{ROLES}/{other}", json={"name": "desk "}).status_code == httpx.codes.CONFLICT
    assert admin.patch(f"{ROLES}/{other}", json={"name": "OTHER"}).json()["name"] == "OTHER"


def test_a_role_in_use_is_not_deleted_and_it_is_said_who_has_it(
    server: RunningServer, admin: httpx.Client
) -> None:
    role = made(admin, ROLES, name="Desk", permissions=["rule:read"])["id"]
    ada = person(server, "ada")
    admin.patch(f"{USERS}/{ada}", json={"roles": [{"role": "Desk"}]}).raise_for_status()
    group = group_with(admin, "Support", [{"role": "Desk"}], [])
    refused = admin.delete(f"{ROLES}/{role}")
    assert refused.status_code == httpx.codes.CONFLICT
    assert refused.json()["detail"] == "The role is in use: take it from ada, group Support first"
    admin.patch(f"{USERS}/{ada}", json={"roles": []})
    assert "group Support" in admin.delete(f"{ROLES}/{role}").json()["detail"]
    admin.delete(f"{GROUPS}/{group}")
    assert admin.delete(f"{ROLES}/{role}").status_code == httpx.codes.NO_CONTENT


def test_a_permission_of_another_version_grants_nothing_and_stays(
    server: RunningServer, admin: httpx.Client
) -> None:
    role = made(admin, ROLES, name="Desk", permissions=["rule:read"])["id"]
    admin.patch(f"{USERS}/{person(server, 'ada')}", json={"roles": [{"role": "Desk"}]})
    execute(server.dsn, "update custom_role set permissions = '{rule:read,moon:read}'")
    shown = admin.get(f"{ROLES}/{role}").json()
    assert (shown["permissions"], shown["unknown"]) == (["rule:read"], ["moon:read"])
    with session(server, "ada") as client:
        assert permissions(client) == {"rule:read": None}
    admin.patch(f"{ROLES}/{role}", json={"description": "other"})
    assert admin.get(f"{ROLES}/{role}").json()["unknown"] == ["moon:read"]


def test_there_are_not_endlessly_many(admin: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("santaserver.users.role_service.MOST", 1)
    made(admin, ROLES, name="One", permissions=["rule:read"])
    assert admin.post(ROLES, json={"name": "Two", "permissions": ["rule:read"]}).status_code == 409
