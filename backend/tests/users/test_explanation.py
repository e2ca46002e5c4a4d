"""What may someone do, and why."""

from typing import Any

import httpx

from santaserver.permissions import Permission
from tests.support.postgres import execute
from tests.support.server import RunningServer
from tests.users.people import GROUPS, ROLES, USERS, group_with, made, permissions, person, session


def reasons(told: dict[str, Any], permission: str) -> list[tuple[object, ...]]:
    """Return why a permission is held."""
    held = next(one for one in told["permissions"] if one["permission"] == permission)
    return [(one["role"], one["tag"], one["through"], one["group"]) for one in held["reasons"]]


def test_each_permission_is_traced_to_its_roles(server: RunningServer, admin: httpx.Client) -> None:
    for tag in ("lab", "office"):
        made(admin, "/api/v1/tags", name=tag)
    made(admin, ROLES, name="Desk", permissions=["enrollment:read", "rule:write"])
    ada = person(server, "ada", "viewer")
    group = group_with(admin, "Lab", [{"role": "operator", "tag": "lab"}], [ada])
    admin.patch(f"{USERS}/{ada}", json={"roles": [{"role": "viewer"}, {"role": "Desk", "tag": "office"}]})
    execute(
        server.dsn,
        """insert into binding (user_id, role, created_at, from_provider)
           values ($1, 'requester', now(), true)""",
        ada,
    )
    told = admin.get(f"{USERS}/{ada}/permissions").json()
    assert (told["username"], told["enabled"], told["without_effect"]) == ("ada", True, [])
    assert reasons(told, "rule:write") == [
        ("operator", "lab", "group", "Lab"),
        ("Desk", "office", "own", None),
    ]
    assert reasons(told, "rule:read") == [("viewer", None, "own", None), ("operator", "lab", "group", "Lab")]
    assert ("requester", None, "provider", None) in reasons(told, "program:read")
    held = {one["permission"]: one for one in told["permissions"]}
    assert (held["rule:write"]["everywhere"], held["rule:write"]["tags"]) == (False, ["lab", "office"])
    assert (held["rule:read"]["everywhere"], held["rule:read"]["tags"]) == (True, [])
    assert held["rule:write"]["reasons"][0]["group_id"] == group
    missing = {one["permission"]: one["why"] for one in told["missing"]}
    assert missing["enrollment:read"] == (
        "It concerns the whole installation, and operator is limited to the tag lab"
    )
    assert missing["user:write"] == "None of the roles includes it"
    assert held.keys() | missing.keys() == set(Permission)
    assert not held.keys() & missing.keys()


def test_it_says_what_the_session_may_do(server: RunningServer, admin: httpx.Client) -> None:
    made(admin, "/api/v1/tags", name="lab")
    group_with(admin, "Lab", [{"role": "approver", "tag": "lab"}], [person(server, "ada", "auditor")])
    with session(server, "ada") as client:
        told = client.get("/api/v1/auth/permissions").json()
        said = {one["permission"]: one["tags"] or None for one in told["permissions"]}
        assert said == permissions(client)


def test_a_disabled_user_and_unknown_roles_are_told(server: RunningServer, admin: httpx.Client) -> None:
    ada = person(server, "ada", "superuser")
    admin.patch(f"{USERS}/{ada}", json={"disabled": True})
    told = admin.get(f"{USERS}/{ada}/permissions").json()
    assert (told["enabled"], told["permissions"], told["without_effect"]) == (False, [], ["superuser"])
    nobody = admin.get(f"{USERS}/{person(server, 'ben')}/permissions").json()
    assert {one["why"] for one in nobody["missing"]} == {"The user has no role"}
    assert admin.get(f"{USERS}/999/permissions").status_code == httpx.codes.NOT_FOUND
    assert admin.get(GROUPS).json()["items"] == []
