"""Every route, for every role: everywhere, for a tag, outside of this tag, and without a session."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Route

from santaserver.authorization import OUTSIDE, check_declarations, declarations, require
from santaserver.deps import ConnectionDep
from santaserver.main import create_app
from santaserver.permissions import Permission
from santaserver.scope import Scope
from santaserver.settings import Settings
from tests.conftest import ADMIN, add_user
from tests.live.sockets import closed, receive, socket
from tests.support.postgres import Cluster, execute, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

LOOK = "viewer approver operator admin auditor"
DECIDE = "approver operator admin"
RUN = "operator admin"
RUN_OR_AUDIT = "operator admin auditor"
ALL = f"{LOOK} requester"
ROLES = ALL.split()

RULE = {"rule_type": "BINARY", "policy": "BLOCKLIST"}
AT = 1_763_900_000
REPORTS: dict[str, Any] = {
    "file_access_events": [
        {
            "rule_name": "Cookies",
            "target": "/Users/sim/Cookies",
            "access_time": AT,
            "decision": "FILE_ACCESS_DECISION_DENIED",
        }
    ],
    "audit_events": [
        {
            "standalone_mode_rule_creation": {
                "decision": "ALLOW_BINARY",
                "identifier": "ab" * 32,
                "timestamp": AT,
            }
        }
    ],
}
"""What a Mac uploads besides executions."""


@dataclass(frozen=True)
class Case:
    """A request and who may send it. `{mac}`, `{tag}`, `{rule}` and `{layer}` name what is in the lab, or
    in the office.
    """

    method: str
    path: str
    roles: str
    body: Any = None
    scoped: bool = True
    """Whether a role that is limited to the lab is enough for what is in the lab."""
    lists: bool = False
    """Whether it is a list, which leaves out what is out of scope, so that there is no 404."""
    counts: bool = False
    """Whether it only says how many there are."""
    unfit: bool = False
    """Whether the request is permitted but refused as invalid, since this server has no HTTPS."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def whole(method: str, path: str, roles: str, body: Any = None) -> Case:  # noqa: ANN401 - JSON
    """Return a case about the whole installation, for which a role limited to a tag is not enough."""
    return Case(method, path, roles, body, scoped=False)


ESSENTIAL = {"name": "{new}", "rule_type": "TEAMID", "identifiers": ["ABCDEFGHIJ"]}

SCOPED = [
    Case("GET", "/rules", LOOK, lists=True),
    Case("GET", "/rules?layer={layer}", LOOK),
    Case("GET", "/rules/removed", LOOK, lists=True),
    Case("GET", "/rules/{rule}", LOOK),
    Case("PUT", "/rules/{rule}", DECIDE, {"policy": "BLOCKLIST", "comment": "changed"}),
    Case("POST", "/rules", DECIDE, RULE | {"layer": "{layer}", "identifier": "{digest}"}),
    Case("POST", "/rules", DECIDE, RULE | {"layer": "machine:{mac}", "identifier": "{digest}"}),
    Case("DELETE", "/rules/{rule}", DECIDE),
    Case("GET", "/rules/export", RUN_OR_AUDIT, lists=True),
    Case("GET", "/rules/export?layer={layer}", RUN_OR_AUDIT),
    Case("GET", "/layers", LOOK, lists=True),
    Case("GET", "/layers?permission=rule:write", DECIDE, lists=True),
    Case("GET", "/layers?permission=rule:export", RUN_OR_AUDIT, lists=True),
    Case("GET", "/layers?permission=settings:write", RUN, lists=True),
    Case("GET", "/layers/members?layer={layer}", LOOK),
    Case("GET", "/tags", LOOK, lists=True),
    Case("GET", "/tags/{tag}", LOOK),
    Case("GET", "/tags/{tag}/members", LOOK),
    Case("PUT", "/tags/{tag}/members/{mac}", RUN),
    Case("DELETE", "/tags/{tag}/members/{spare}", RUN),
    Case("GET", "/machines", LOOK, lists=True),
    Case("GET", "/machines/{mac}", LOOK),
    Case("GET", "/machines/{mac}/tags", LOOK),
    Case("GET", "/machines/{mac}/policy?at={moment}", LOOK),
    Case("POST", "/machines/{mac}/clean-sync", RUN, {"kind": "clean"}),
    Case("POST", "/machines/{mac}/monitor-mode", RUN, {"minutes": 30, "reason": "a test"}),
    Case("DELETE", "/machines/{mac}/monitor-mode", RUN),
    Case("POST", "/machines/{mac}/release", RUN),
    Case("DELETE", "/machines/{mac}/release", RUN),
    Case("POST", "/machines/{old}/retire", RUN),
    Case("POST", "/machines/{mac}/restore", RUN),
    Case("DELETE", "/machines/{old}", RUN),
    Case("GET", "/machines/count", RUN, lists=True, counts=True),
    Case("POST", "/machines/actions", RUN, {"action": "release", "machine_ids": ["{mac}"]}),
    Case("GET", "/explain/program?machine_id={mac}&team_id=ABCDEFGHIJ", LOOK),
    Case("GET", "/explain/rules?machine_id={mac}", LOOK),
    Case("GET", "/explain/settings?machine_id={mac}", LOOK),
    Case("GET", "/events", LOOK, lists=True),
    Case("GET", "/events/{event}", LOOK),
    Case("GET", "/file-accesses", LOOK, lists=True),
    Case("GET", "/agent-audits", LOOK, lists=True),
    Case("GET", "/settings/layer?layer={layer}", LOOK),
    Case("GET", "/settings/layer?layer=machine:{mac}", LOOK),
    Case("PUT", "/settings/layer?layer={layer}", RUN, {"values": {"enable_bundles": True}, "locked": []}),
]
WHOLE = [
    whole("GET", "/overview", LOOK),
    whole("GET", "/programs", ALL),
    whole("GET", "/programs/{program}", ALL),
    whole("GET", "/settings", LOOK),
    whole("PUT", "/settings", RUN, {}),
    whole("GET", "/essentials", LOOK),
    whole("POST", "/essentials", RUN, ESSENTIAL),
    whole("PATCH", "/essentials/{essential}", RUN, {"use": "VPN"}),
    whole("DELETE", "/essentials/{essential}", RUN),
    whole("PUT", "/blocked/contact", RUN, {"text": "Help desk", "url": ""}),
    whole("POST", "/rules/import", RUN, {"format": "csv", "content": "{csv}"}),
    whole("POST", "/tags", RUN, {"name": "{new}"}),
    whole("PUT", "/tags/{tag}", RUN, {"name": "{side}", "description": "changed"}),
    whole("DELETE", "/tags/{passing}", RUN),
    whole("PUT", "/tags/order", RUN, {"tags": "{tags}"}),
    whole("POST", "/tags/order/impact", RUN, {"tags": "{tags}"}),
    whole("POST", "/tags/predicate", RUN, {"predicate": "true"}),
    whole("GET", "/enrollments", RUN_OR_AUDIT),
    whole("GET", "/enrollments/essentials", RUN_OR_AUDIT),
    whole("GET", "/enrollments/{enrollment}", RUN_OR_AUDIT),
    whole("GET", "/enrollments/{enrollment}/serials", RUN_OR_AUDIT),
    whole("POST", "/enrollments", RUN, {"label": "{new}"}),
    whole("PATCH", "/enrollments/{enrollment}/serials", RUN, {"add": ["C02ABCDEFGHJ"], "remove": []}),
    whole("DELETE", "/enrollments/{enrollment}/serials", RUN),
    Case("POST", "/enrollments/{enrollment}/profile", RUN, {"secret": "{secret}"}, scoped=False, unfit=True),
    whole("POST", "/enrollments/{leaving}/revoke", RUN),
    whole("GET", "/users", "admin auditor"),
    whole("GET", "/users/1", "admin auditor"),
    whole("PATCH", "/users/1", "admin", {"display_name": "Root"}),
    whole("POST", "/users", "admin", {"username": "{new}", "password": "a long password", "roles": []}),
    whole("GET", "/sessions?everybody=true", "admin auditor"),
    whole("GET", "/sessions?username=admin", "admin auditor"),
    whole("DELETE", "/sessions?username=somebody", "admin"),
    whole("GET", "/audit", "admin auditor"),
    whole("GET", "/audit/export", "admin auditor"),
    whole("POST", "/audit/checkpoint", "admin auditor"),
    whole("GET", "/audit/checkpoint", "admin auditor"),
]
CASES = [*SCOPED, *WHOLE]
OPEN = {
    "POST /auth/login",
    "POST /auth/logout",
    "GET /auth/state",
    "GET /blocked/contact",
    "GET /blocked/{sha256}",
}
OWN = {"GET /auth/me", "GET /sessions", "DELETE /sessions", "DELETE /sessions/{session_id}"}


class World:
    """A server with two tags, a Mac, a rule and an event of each, and clients for all roles."""

    def __init__(self, server: RunningServer) -> None:
        """Make everything."""
        self.server = server
        self._new = itertools.count(1)
        self._clients: dict[str, httpx.Client] = {}
        self.admin = self.client("admin")
        self.tags = {name: self._made("/tags", {"name": name}) for name in ("lab", "office")}
        self.macs = {name: self._mac(f"{name}.example.com") for name in ("lab", "office", "lab2", "office2")}
        for name, mac in self.macs.items():
            tag = self.tags[name.removesuffix("2")]
            assert self.admin.put(f"/api/v1/tags/{tag}/members/{mac}").status_code == httpx.codes.NO_CONTENT
        made = self.admin.post("/api/v1/enrollments", json={"label": "theirs"}).json()
        self.enrollment, self.secret = made["enrollment"]["id"], made["secret"]
        for side in self.tags:
            self._rule(side)
            self.admin.delete(f"/api/v1/rules/{self._rule(side)}").raise_for_status()
        for role in ROLES:
            if role != "admin":
                add_user(server.dsn, role, role)
            add_user(server.dsn, f"{role}-lab", role, self.tags["lab"])

    def client(self, name: str) -> httpx.Client:
        """Return a client with the session of a user; empty: without one."""
        if name not in self._clients:
            made = self._clients[name] = self.server.client()
            if name:
                login = made.post("/api/v1/auth/login", json={"username": name, "password": ADMIN[1]})
                assert login.status_code == httpx.codes.OK, login.text
        return self._clients[name]

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()

    def send(self, case: Case, user: str, side: str) -> httpx.Response:
        """Send a request about one of the two sides as a user."""
        wanted = f"{case.path} {json.dumps(case.body)}"
        values = {
            "side": side,
            "secret": self.secret,
            "layer": f"tag:{side}",
            "tag": str(self.tags[side]),
            "mac": self.macs[side],
            "spare": self.macs[f"{side}2"],
            "enrollment": str(self.enrollment),
            "digest": f"{next(self._new):064x}",
            "new": f"new{next(self._new)}",
            "moment": quote(self.server.clock().isoformat()),
            "csv": "layer,rule_type,identifier,policy\\n",
        }
        if "{rule}" in wanted:
            values["rule"] = str(self._rule(side))
        if "{essential}" in wanted:
            named = ESSENTIAL | {"name": f"vpn{next(self._new)}"}
            values["essential"] = str(self._made("/essentials", named))
        if "{passing}" in wanted:
            values["passing"] = str(self._made("/tags", {"name": f"passing{next(self._new)}"}))
        if "{spare}" in wanted:
            self.admin.put(f"/api/v1/tags/{self.tags[side]}/members/{values['spare']}")
        if "{leaving}" in wanted:
            values["leaving"] = str(self._made("/enrollments", {"label": "leaving"}))
        if "{old}" in wanted:
            values["old"] = self._old(side)
        if "{event}" in wanted:
            values["event"] = str(self._event(side))
        if "{program}" in wanted:
            values["program"] = str(value(self.server.dsn, "select min(id) from program"))
        path, body = case.path, json.dumps(case.body)
        for name, text in values.items():
            path, body = path.replace(f"{{{name}}}", text), body.replace(f"{{{name}}}", text)
        body = body.replace('"{tags}"', json.dumps(self._order()) if "{tags}" in body else "")
        headers = {"Content-Type": "application/json"}
        content = None if case.body is None else body
        return self.client(user).request(case.method, "/api/v1" + path, content=content, headers=headers)

    def _made(self, path: str, body: object) -> int:
        response = self.admin.post(f"/api/v1{path}", json=body)
        assert response.status_code == httpx.codes.CREATED, response.text
        answer = response.json()
        number: int = answer.get("enrollment", answer)["id"]
        return number

    def _mac(self, hostname: str) -> str:
        mac = SimulatedMac(self.server.url, hostname=hostname)
        mac.sync()
        mac.block(f"Evil {hostname}")
        mac.post("eventupload", REPORTS)
        mac.close()
        return mac.machine_id

    def _old(self, side: str) -> str:
        """Return a Mac that is about to leave."""
        mac = SimulatedMac(
            self.server.url, hostname=f"old.{side}.example.com", machine_id=f"OLD-{next(self._new)}"
        )
        mac.sync()
        mac.close()
        assert self.admin.put(f"/api/v1/tags/{self.tags[side]}/members/{mac.machine_id}").is_success
        return mac.machine_id

    def _rule(self, side: str) -> int:
        body = RULE | {"layer": f"tag:{side}", "identifier": f"{next(self._new):064x}"}
        return self._made("/rules", body)

    def _event(self, side: str) -> int:
        number: int = value(
            self.server.dsn,
            "select e.id from event e join machine m on m.id = e.machine_id where m.machine_id = $1",
            self.macs[side],
        )
        return number

    def _order(self) -> list[int]:
        return [tag["id"] for tag in self.admin.get("/api/v1/tags").json()]


@pytest.fixture(scope="module")
def world(cluster: Cluster, template: str) -> Iterator[World]:
    """One world for all tests of this file."""
    name = cluster.create(template)
    with RunningServer(cluster.dsn(name)) as server:
        made = World(server)
        yield made
        made.close()
    cluster.drop(name)


def refused(world: World, case: Case, user: str, side: str, status: int) -> str | None:
    """Return what is wrong unless a request is refused with a status."""
    response = world.send(case, user, side)
    if response.status_code == status and response.headers["content-type"] == "application/problem+json":
        return None
    return f"{case} as {user}, {side}: {response.status_code} instead of {status}"


def done(world: World, case: Case, user: str, side: str) -> str | None:
    """Return what is wrong unless a request is carried out."""
    response = world.send(case, user, side)
    if case.unfit and response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        return None
    if not response.is_success:
        return f"{case} as {user}, {side}: {response.status_code} {response.text}"
    if case.lists and not case.counts and user.endswith("-lab"):
        if "office" in response.text:
            return f"{case} as {user} shows what is in the office"
        if "lab" not in response.text:
            return f"{case} as {user} does not show what is in the lab"
    return None


def found(results: Iterator[str | None]) -> list[str]:
    """Return what is wrong."""
    return [result for result in results if result]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_enough_for_what_it_is_for(world: World, role: str) -> None:
    def results() -> Iterator[str | None]:
        for case in CASES:
            if role in case.roles.split():
                yield done(world, case, role, "office")
            else:
                yield refused(world, case, role, "office", httpx.codes.FORBIDDEN)

    assert found(results()) == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_for_a_tag_reaches_only_what_has_the_tag(world: World, role: str) -> None:
    user = f"{role}-lab"

    def results() -> Iterator[str | None]:
        for case in CASES:
            if not case.scoped or role not in case.roles.split():
                yield refused(world, case, user, "lab", httpx.codes.FORBIDDEN)
            elif case.lists:
                yield done(world, case, user, "lab")
            else:
                yield done(world, case, user, "lab")
                yield refused(world, case, user, "office", httpx.codes.NOT_FOUND)

    assert found(results()) == []


def test_nobody_gets_anything_without_a_session(world: World) -> None:
    assert found(refused(world, case, "", "lab", httpx.codes.UNAUTHORIZED) for case in CASES) == []
    for name in sorted(OWN):
        method, path = name.replace("{session_id}", "1").split()
        assert world.client("").request(method, f"/api/v1{path}").status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize("role", ["", *ROLES])
def test_the_live_channel_asks_for_a_role(world: World, role: str) -> None:
    client = world.client(role) if role else None
    with socket(world.server, client) as made:
        if role in LOOK.split():
            assert receive(made)["type"] == "hello"
            return
        closed(made)
    assert made.close_code == (4403 if role else 4401)


def test_a_role_for_a_tag_hears_that_something_changed_but_not_what(world: World) -> None:
    with socket(world.server, world.client("viewer-lab")) as made:
        assert receive(made)["type"] == "hello"
        world._rule("office")
        heard = receive(made)
    assert (heard["type"], set(heard)) == ("lagged", {"type", "at", "lost"})


def test_these_cases_are_all_there_are(world: World) -> None:
    document = world.admin.get("/api/v1/openapi.json").json()
    known = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    tried = {
        route.path.removeprefix("/api/v1").replace(":path}", "}")
        for route in iter_route_contexts(world.server.app.routes)
        if route.path and route.path not in OUTSIDE and not route.path.endswith("/live")
    }
    assert {path.removeprefix("/api/v1") for path in document["paths"]} == tried
    patterns = {name: shape(name.replace("/api/v1", "")) for name in known}
    wanted = {shape(str(case).split("?")[0]) for case in CASES} | {shape(name) for name in OPEN | OWN}
    assert {name for name, pattern in patterns.items() if pattern not in wanted} == set()


def shape(name: str) -> str:
    """Return a request's method and path with all parameters alike."""
    parts = name.replace("/users/1", "/users/{id}").split("/")
    return "/".join("{}" if part.startswith("{") else part for part in parts)


def test_every_endpoint_declares_what_it_needs(world: World) -> None:
    document = world.admin.get("/api/v1/openapi.json").json()
    operations = sum(len(item) for item in document["paths"].values())
    declared = list(declarations(world.server.app))
    assert len(declared) == operations + 1  # the WebSocket
    assert operations > 50
    used = {one.permission for _, found in declared for one in found} - {None}
    assert used | {Permission.SESSION_READ, Permission.SESSION_WRITE} == set(Permission)


def test_an_endpoint_without_a_declaration_does_not_start() -> None:
    async def forgotten() -> str:
        return "everything"

    def with_endpoint() -> FastAPI:
        app = create_app(Settings())
        app.add_api_route("/api/v1/forgotten", forgotten)
        return app

    check_declarations(create_app(Settings()))
    with pytest.raises(RuntimeError, match="/api/v1/forgotten has 0 declarations"):
        check_declarations(with_endpoint())
    bare = create_app(Settings())
    bare.router.routes.append(Route("/api/v1/bare", forgotten))
    with pytest.raises(RuntimeError, match="/api/v1/bare has 0 declarations"):
        check_declarations(bare)


def test_an_endpoint_that_connects_before_it_checks_does_not_start() -> None:
    async def early(_: ConnectionDep, __: Annotated[Scope, require("rule:read")]) -> str:
        return "a refused request took a connection"

    async def right(_: Annotated[Scope, require("rule:read")], __: ConnectionDep) -> str:
        return "as it should be"

    app = create_app(Settings())
    app.add_api_route("/api/v1/right", right)
    check_declarations(app)
    app.add_api_route("/api/v1/early", early)
    with pytest.raises(RuntimeError, match="/api/v1/early asks for a connection before its permission"):
        check_declarations(app)


def test_a_role_that_is_not_known_grants_nothing(world: World) -> None:
    add_user(world.server.dsn, "future", "superuser")
    client = world.client("future")
    me = client.get("/api/v1/auth/me").json()
    assert (me["role"], me["permissions"], me["roles"]) == (None, [], [{"role": "superuser", "tag": None}])
    response = client.get("/api/v1/rules")
    assert response.status_code == httpx.codes.FORBIDDEN
    assert "does not know the role superuser" in response.json()["detail"]
    add_user(world.server.dsn, "odd", "Admin ")
    assert world.client("odd").get("/api/v1/rules").status_code == httpx.codes.FORBIDDEN


def test_a_user_is_told_what_is_permitted(world: World) -> None:
    me = world.client("operator-lab").get("/api/v1/auth/me").json()
    assert me["role"] == "operator"
    assert me["roles"] == [{"role": "operator", "tag": "lab"}]
    assert me["scopes"]["rule:write"] == ["lab"]
    assert "tag:write" not in me["permissions"]
    assert world.admin.get("/api/v1/auth/me").json()["permissions"] == [str(one) for one in Permission]
    assert world.admin.get("/api/v1/auth/me").json()["scopes"] == {}


def test_several_roles_add_up(world: World) -> None:
    add_user(world.server.dsn, "both", "viewer")
    give(world, "both", "operator", "lab")
    client = world.client("both")
    office = world._rule("office")
    assert client.get(f"/api/v1/rules/{office}").status_code == httpx.codes.OK
    assert client.delete(f"/api/v1/rules/{office}").status_code == httpx.codes.NOT_FOUND
    assert client.delete(f"/api/v1/rules/{world._rule('lab')}").status_code == httpx.codes.NO_CONTENT


def test_an_untagged_mac_and_the_rules_of_all_need_a_role_that_holds_everywhere(world: World) -> None:
    client = world.client("operator-lab")
    loose = world._mac("loose.example.com")
    assert client.get(f"/api/v1/machines/{loose}").status_code == httpx.codes.NOT_FOUND
    joined = client.put(f"/api/v1/tags/{world.tags['lab']}/members/{loose}")
    assert joined.status_code == httpx.codes.NOT_FOUND
    for layer in ("global", "user:sim", f"machine:{loose}"):
        rule = RULE | {"layer": layer, "identifier": "ab" * 32}
        assert client.post("/api/v1/rules", json=rule).status_code == httpx.codes.NOT_FOUND, layer
        settings = client.get("/api/v1/settings/layer", params={"layer": layer})
        assert settings.status_code == httpx.codes.NOT_FOUND, layer
    both = world.macs["lab"]
    out = client.put(f"/api/v1/tags/{world.tags['office']}/members/{both}")
    assert out.status_code == httpx.codes.NOT_FOUND


def test_a_wider_role_for_reading_leaves_what_may_be_changed_as_it_is(world: World) -> None:
    add_user(world.server.dsn, "wide", "viewer")
    give(world, "wide", "approver", "lab")
    client = world.client("wide")
    own = f"machine:{world.macs['lab']}"
    for layer in (own, f"machine:{world.macs['office']}", "global"):
        rule = RULE | {"layer": layer, "identifier": f"{next(world._new):064x}"}
        assert world.admin.post("/api/v1/rules", json=rule).status_code == httpx.codes.CREATED
    seen = {layer["layer"] for layer in client.get("/api/v1/layers").json()}
    assert {"global", "tag:office", f"machine:{world.macs['office']}"} < seen
    reached = client.get("/api/v1/layers?permission=rule:write").json()
    assert {layer["layer"] for layer in reached} == {"tag:lab", own}
    refused = client.get("/api/v1/layers?permission=settings:write")
    assert refused.status_code == httpx.codes.FORBIDDEN
    for word in ("user:write", "rule:read", "", "root"):
        odd = client.get("/api/v1/layers", params={"permission": word})
        assert odd.status_code == httpx.codes.UNPROCESSABLE_ENTITY, word


def give(world: World, name: str, role: str, tag: str | None = None) -> None:
    """Give one more role to a user."""
    execute(
        world.server.dsn,
        "insert into binding (user_id, role, tag_id, created_at) "
        "select id, $2, $3, now() from app_user where username = $1",
        name,
        role,
        world.tags[tag] if tag else None,
    )


def test_a_retired_mac_stays_in_the_scope_that_it_had(world: World) -> None:
    client, other = world.client("operator-lab"), world.client("operator")
    mine, theirs = world._old("lab"), world._old("office")
    assert client.post(f"/api/v1/machines/{mine}/retire").json()["retired_at"]
    other.post(f"/api/v1/machines/{theirs}/retire")
    listed = client.get("/api/v1/machines", params={"retired": "true"}).json()["items"]
    names = {mac["machine_id"] for mac in listed}
    assert (mine in names, theirs in names) == (True, False)
    assert client.get(f"/api/v1/machines/{theirs}").status_code == httpx.codes.NOT_FOUND
    for action in ("restore", "delete"):
        assert client.post(f"/api/v1/machines/{mine}/restore").json()["retired_at"] is None
        named = {"action": action, "machine_ids": [mine, theirs]}
        refused = client.post("/api/v1/machines/actions", json=named)
        assert refused.status_code == httpx.codes.NOT_FOUND
        assert theirs in refused.json()["detail"]
    assert client.get(f"/api/v1/machines/{mine}/tags").json()[0]["name"] == "lab"
    assert client.delete(f"/api/v1/machines/{mine}").status_code == httpx.codes.NO_CONTENT
    assert client.get(f"/api/v1/machines/{mine}").status_code == httpx.codes.NOT_FOUND


def test_an_order_for_many_counts_and_changes_only_what_is_in_scope(world: World) -> None:
    client = world.client("operator-lab")
    macs = {side: world._old(side) for side in ("lab", "office")}
    everything = {"q": "old."}
    all_of_them = world.admin.get("/api/v1/machines/count", params=everything).json()["count"]
    count = client.get("/api/v1/machines/count", params=everything).json()["count"]
    assert 0 < count < all_of_them
    wanted = {"action": "retire", "filter": everything}
    refused = client.post("/api/v1/machines/actions", json=wanted | {"count": all_of_them})
    assert (refused.status_code, f"{count} machines" in refused.text) == (412, True)
    done = client.post("/api/v1/machines/actions", json=wanted | {"count": count}).json()
    assert (done["matched"], done["changed"]) == (count, count)
    shown = {side: world.admin.get(f"/api/v1/machines/{mac}").json() for side, mac in macs.items()}
    assert shown["lab"]["retired_at"]
    assert shown["office"]["retired_at"] is None
