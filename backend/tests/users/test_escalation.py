"""Who manages users gets no more than they have: by no role, group, password, link or token."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest

from santaserver.permissions import Permission
from tests.support.postgres import fetch
from tests.support.server import RunningServer
from tests.users.people import GROUPS, ROLES, USERS, group_with, made, permissions, person, session

HELD = ["user:read", "user:write", "rule:read", "tag:read", "machine:read", "live:read"]
"""What the manager of these tests has everywhere; `rule:write` only for the tag lab."""


@dataclass
class World:
    """A manager of users who is no administrator, and people who may do more and less."""

    server: RunningServer
    admin: httpx.Client
    manager: httpx.Client
    ids: dict[str, int]


@pytest.fixture
def world(server: RunningServer, admin: httpx.Client) -> Iterator[World]:
    """Return it."""
    ids = {tag: made(admin, "/api/v1/tags", name=tag)["id"] for tag in ("lab", "office")}
    made(admin, ROLES, name="Manager", permissions=HELD)
    made(admin, ROLES, name="Reader", permissions=["rule:read"])
    made(admin, ROLES, name="Writer", permissions=["rule:read", "rule:write"])
    ids["auditing"] = made(admin, ROLES, name="Auditing", permissions=["audit:read"])["id"]
    manager = person(server, "manager")
    roles = [{"role": "Manager"}, {"role": "Writer", "tag": "lab"}]
    admin.patch(f"{USERS}/{manager}", json={"roles": roles}).raise_for_status()
    for name, role in (("root", "admin"), ("less", None), ("more", "operator"), ("lab-user", None)):
        ids[name] = person(server, name, role)
    admin.patch(f"{USERS}/{ids['lab-user']}", json={"roles": [{"role": "Writer", "tag": "lab"}]})
    ids["robot"] = made(admin, USERS, username="robot", kind="service", roles=[{"role": "admin"}])["id"]
    ids["small"] = made(admin, USERS, username="small", kind="service", roles=[{"role": "Reader"}])["id"]
    ids["admins"] = group_with(admin, "Admins", [{"role": "admin"}], [ids["root"]])
    ids["readers"] = group_with(admin, "Readers", [{"role": "Reader"}], [])
    ids["writers"] = group_with(admin, "Writers", [{"role": "Writer", "tag": "lab"}], [])
    with session(server, "manager") as client:
        ids["manager"] = manager
        yield World(server, admin, client, ids)


MORE = [
    [{"role": "admin"}],
    [{"role": "viewer"}],
    [{"role": "Writer"}],
    [{"role": "Writer", "tag": "office"}],
    [{"role": "Writer", "tag": "lab"}, {"role": "operator", "tag": "lab"}],
    [{"role": "admin", "tag": "lab"}],
    [{"role": "Auditing"}],
    [{"role": "ADMIN"}],
]
FITS = [
    [{"role": "Reader"}],
    [{"role": "Manager"}],
    [{"role": "Writer", "tag": "lab"}],
    [{"role": "Reader", "tag": "office"}],
    [{"role": "Auditing", "tag": "lab"}],
    [],
]
"""The last but one grants nothing: it concerns the whole installation."""


@pytest.mark.parametrize("roles", MORE, ids=str)
def test_nobody_gives_what_they_do_not_have(world: World, roles: list[object]) -> None:
    for method, path, body in (
        ("PATCH", f"{USERS}/{world.ids['less']}", {"roles": roles}),
        ("PATCH", f"{USERS}/{world.ids['manager']}", {"roles": roles}),
        ("POST", USERS, {"username": "new", "roles": roles}),
        ("POST", GROUPS, {"name": "new", "roles": roles}),
        ("PATCH", f"{GROUPS}/{world.ids['readers']}", {"roles": roles}),
    ):
        before = stored(world)
        answer = world.manager.request(method, path, json=body)
        assert answer.status_code == httpx.codes.FORBIDDEN, (method, path, answer.text)
        assert "cannot give the role" in answer.json()["detail"]
        assert stored(world) == before, (method, path)


@pytest.mark.parametrize("roles", FITS, ids=str)
def test_what_they_have_they_give(world: World, roles: list[object]) -> None:
    for method, path, body in (
        ("PATCH", f"{USERS}/{world.ids['less']}", {"roles": roles}),
        ("POST", USERS, {"username": "new", "roles": roles}),
        ("POST", GROUPS, {"name": "new", "roles": roles}),
    ):
        assert world.manager.request(method, path, json=body).is_success, (method, path)


def test_nobody_changes_a_user_who_may_do_more(world: World) -> None:
    changes: list[dict[str, object]] = [
        {"password": "another long password 1"},
        {"disabled": True},
        {"roles": []},
        {"display_name": "x"},
    ]
    for name in ("root", "more", "robot"):
        path = f"{USERS}/{world.ids[name]}"
        requests = [
            *(("PATCH", path, change) for change in changes),
            ("DELETE", path, None),
            ("POST", f"{path}/setup-link", None),
        ]
        for method, target, body in requests:
            if name == "robot" and "password" in (body or {}):
                continue
            before = stored(world)
            answer = world.manager.request(method, target, json=body)
            refused = httpx.codes.CONFLICT if "setup" in target and name == "robot" else httpx.codes.FORBIDDEN
            assert answer.status_code == refused, (name, method, target, body, answer.text)
            assert stored(world) == before
    for name in ("less", "lab-user"):
        assert world.manager.post(f"{USERS}/{world.ids[name]}/setup-link").is_success
        assert world.manager.delete(f"{USERS}/{world.ids[name]}").is_success


def test_a_role_through_a_group_counts_too(world: World) -> None:
    world.admin.put(f"{GROUPS}/{world.ids['admins']}/members/{world.ids['less']}").raise_for_status()
    path = f"{USERS}/{world.ids['less']}"
    assert world.manager.patch(path, json={"password": "another long password 1"}).status_code == 403


def test_nobody_joins_or_changes_a_group_that_may_do_more(world: World) -> None:
    group = f"{GROUPS}/{world.ids['admins']}"
    for method, path, body in (
        ("PUT", f"{group}/members/{world.ids['manager']}", None),
        ("DELETE", f"{group}/members/{world.ids['root']}", None),
        ("PATCH", group, {"name": "x"}),
        ("PATCH", group, {"roles": []}),
        ("DELETE", group, None),
    ):
        answer = world.manager.request(method, path, json=body)
        assert answer.status_code == httpx.codes.FORBIDDEN, (method, path, answer.text)
    for name in ("readers", "writers"):
        assert world.manager.put(f"{GROUPS}/{world.ids[name]}/members/{world.ids['less']}").is_success


def test_a_group_of_the_provider_is_not_pointed_at_other_people(world: World) -> None:
    group = made(world.admin, GROUPS, source="claim", name="a", external_id="1", roles=[{"role": "operator"}])
    answer = world.manager.patch(f"{GROUPS}/{group['id']}", json={"external_id": "2"})
    assert answer.status_code == httpx.codes.FORBIDDEN


def test_the_manager_is_no_administrator(world: World) -> None:
    assert permissions(world.manager).keys() == {*HELD, "rule:write"}


def test_a_role_contains_only_what_its_maker_has_everywhere(world: World) -> None:
    for missing in sorted({str(one) for one in Permission} - set(HELD)):
        body = {"name": "new", "permissions": ["rule:read", missing]}
        assert world.manager.post(ROLES, json=body).status_code == httpx.codes.FORBIDDEN, missing
    own = made(world.manager, ROLES, name="new", permissions=HELD)["id"]
    assert (
        world.manager.patch(f"{ROLES}/{own}", json={"permissions": [*HELD, "audit:read"]}).status_code == 403
    )
    for wanted in ([*HELD, "audit:read"], ["rule:write"]):
        answer = world.manager.patch(f"{ROLES}/{own}", json={"permissions": wanted})
        assert answer.status_code == httpx.codes.FORBIDDEN, wanted
    changes: list[dict[str, object]] = [{"name": "x"}, {"permissions": ["rule:read"]}]
    for change in changes:
        answer = world.manager.patch(f"{ROLES}/{world.ids['auditing']}", json=change)
        assert answer.status_code == httpx.codes.FORBIDDEN, "it contains what they do not have"
    assert world.manager.delete(f"{ROLES}/{world.ids['auditing']}").status_code == httpx.codes.FORBIDDEN


def test_no_token_of_a_stronger_service_account_is_made_or_renewed(world: World) -> None:
    until = (world.server.clock() + timedelta(days=3)).isoformat()
    for name, status in (("robot", 403), ("small", 201)):
        body = {"name": "a", "permissions": ["rule:read"], "expires_at": until, "user_id": world.ids[name]}
        assert world.manager.post("/api/v1/tokens", json=body).status_code == status
        token = made(world.admin, "/api/v1/tokens", **(body | {"name": "b"}))["token"]["id"]
        renewed = world.manager.post(f"/api/v1/tokens/{token}/rotate", json={})
        assert renewed.status_code == (403 if status == 403 else 200), renewed.text


def test_a_token_has_what_its_owner_has_left(world: World) -> None:
    """Also when the owner has it through a group, a custom role, or for a tag."""
    less = world.ids["less"]
    world.admin.put(f"{GROUPS}/{world.ids['writers']}/members/{less}").raise_for_status()
    until = (world.server.clock() + timedelta(days=3)).isoformat()
    with session(world.server, "less") as client:
        assert permissions(client)["rule:write"] == ["lab"]
        wanted = {"name": "a", "permissions": ["rule:read", "rule:write"], "expires_at": until}
        secret = made(client, "/api/v1/tokens", **wanted)["secret"]
    with world.server.client(Authorization=f"Bearer {secret}") as token:
        assert permissions(token) == {"rule:read": ["lab"], "rule:write": ["lab"]}
        world.admin.patch(f"{ROLES}/{world.ids['auditing']}", json={"description": "x"})
        world.admin.delete(f"{GROUPS}/{world.ids['writers']}/members/{less}").raise_for_status()
        assert permissions(token) == {}
        assert token.get("/api/v1/rules").status_code == httpx.codes.FORBIDDEN


@pytest.mark.parametrize(
    "body",
    [
        {"id": 1},
        {"kind": "service"},
        {"groups": ["Admins"]},
        {"deprovisioned": False},
        {"source": "local"},
        {"enabled": True},
        {"username": "root"},
        {"password_hash": "x"},
        {"roles": [{"role": "Reader", "from_provider": True}]},
        {"roles": [{"role": "Reader", "custom_role_id": 1}]},
        {"roles": [{"custom": 1}]},
    ],
    ids=str,
)
def test_fields_that_are_not_offered_are_refused(world: World, body: object) -> None:
    before = stored(world)
    assert world.admin.patch(f"{USERS}/{world.ids['less']}", json=body).status_code == 422
    assert stored(world) == before


@pytest.mark.parametrize("name", ["ROOT", "r\u043e\u043et", "\uff52oot", "ro\u200bot", " root ", "r\u03bfot"])
def test_nobody_is_called_like_somebody_else(world: World, name: str) -> None:
    answer = world.admin.post(USERS, json={"username": name, "roles": []})
    assert answer.status_code == httpx.codes.CONFLICT, answer.text
    made(world.admin, USERS, username="r\u00f6ot", roles=[])


def stored(world: World) -> object:
    return [
        [tuple(row) for row in fetch(world.server.dsn, query)]
        for query in (
            "select user_id, group_id, role, custom_role_id, tag_id from binding order by id",
            "select username, password_hash, disabled_at, kind from app_user order by id",
            "select group_id, user_id from user_group_member order by 1, 2",
            "select name, permissions from custom_role order by id",
            "select name, external_id from user_group order by id",
            "select user_id from setup_link",
        )
    ]


def test_only_who_may_everything_provisions(world: World) -> None:
    """Whoever has a SCIM token fills the groups of the directory, whatever roles these have."""
    tokens = "/api/v1/scim/tokens"
    body = {"name": "Entra", "expires_at": (world.server.clock() + timedelta(days=9)).isoformat()}
    token = made(world.admin, tokens, **body)["token"]["id"]
    for path, sent in ((tokens, {**body, "name": "Own"}), (f"{tokens}/{token}/rotate", {})):
        response = world.manager.post(path, json=sent)
        assert response.status_code == httpx.codes.FORBIDDEN, response.text
        assert "audit:read" in response.json()["detail"]
    assert [one["name"] for one in world.admin.get(tokens).json()["items"]] == ["Entra"]
    assert fetch(world.server.dsn, "select from scim_token where rotated_at is not null") == []
    everything = made(world.admin, ROLES, name="Everything", permissions=list(Permission))
    assert everything["permissions"]
    roles = [{"role": "Everything"}]
    world.admin.patch(f"{USERS}/{world.ids['manager']}", json={"roles": roles}).raise_for_status()
    with session(world.server, "manager") as again:
        assert again.post(f"{tokens}/{token}/rotate", json={}).is_success
        assert again.delete(f"{tokens}/{token}").is_success
