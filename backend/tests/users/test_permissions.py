"""Every route, for every role: everywhere, for a tag, outside of this tag, and without a session."""

import re
from collections.abc import Iterator
from typing import Annotated

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
from tests.conftest import add_user
from tests.live.sockets import closed, receive, socket
from tests.support.postgres import Cluster, execute
from tests.support.server import RunningServer
from tests.users.permission_cases import CASES, LOOK, OPEN, OWN, ROLES, RULE, WAYS, Case
from tests.users.permission_world import World


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


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_enough_for_what_it_is_for(world: World, role: str, way: str) -> None:
    user = way + role

    def results() -> Iterator[str | None]:
        for case in CASES:
            if role in case.roles.split():
                yield done(world, case, user, "office")
            else:
                yield refused(world, case, user, "office", httpx.codes.FORBIDDEN)

    assert found(results()) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_for_a_tag_reaches_only_what_has_the_tag(world: World, role: str, way: str) -> None:
    user = f"{way}{role}-lab"

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
        method, path = re.sub(r"{\w+}", "1", name).split()
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
    assert (me["role"], me["permissions"], me["roles"]) == (
        None,
        [],
        [{"role": "superuser", "tag": None, "group": None}],
    )
    response = client.get("/api/v1/rules")
    assert response.status_code == httpx.codes.FORBIDDEN
    assert "does not know the role superuser" in response.json()["detail"]
    add_user(world.server.dsn, "odd", "Admin ")
    assert world.client("odd").get("/api/v1/rules").status_code == httpx.codes.FORBIDDEN


def test_a_user_is_told_what_is_permitted(world: World) -> None:
    me = world.client("operator-lab").get("/api/v1/auth/me").json()
    assert me["role"] == "operator"
    assert me["roles"] == [{"role": "operator", "tag": "lab", "group": None}]
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
