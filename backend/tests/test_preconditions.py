"""Nobody overwrites a change that they have not seen: `If-Match` on every object that can be changed."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from santaserver.errors import BadRequest, PreconditionRequired
from santaserver.inputs import Input
from santaserver.preconditions import ANY, entity_tag, if_match
from santaserver.sync_settings.schemas import SettingsPatch
from tests.conftest import ADMIN
from tests.support.postgres import Cluster, held, value
from tests.support.rest_client import RestClient
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

DOCUMENT = json.loads((Path(__file__).parents[1] / "openapi.json").read_text())
WITHOUT = {
    "DELETE /api/v1/sessions": "ends sessions for good, whatever state they are in",
    "DELETE /api/v1/sessions/{session_id}": "the same for one; a second time changes nothing",
    "DELETE /api/v1/tokens/{token_id}": "revokes it for good, whatever state it is in",
}
"""Changes that name no version, and why that loses nobody's change."""
OTHER_MAC = "C0FFEE00-0000-4000-8000-000000000000"


# The header


@pytest.mark.parametrize(
    ("lines", "tags"),
    [
        (['"a"'], {'"a"'}),
        (['"a", "b"'], {'"a"', '"b"'}),
        (['"a"', '"b"'], {'"a"', '"b"'}),
        ([' , "a" ,,\t"b,c" , '], {'"a"', '"b,c"'}),
        (['""'], {'""'}),
        (['"\xe9!"'], {'"\xe9!"'}),
        (['W/"a", "b"'], {'W/"a"', '"b"'}),
    ],
)
def test_the_header_is_read_as_the_rfc_says(lines: list[str], tags: set[str]) -> None:
    assert if_match(lines).tags == frozenset(tags)


@pytest.mark.parametrize(
    "lines",
    [
        [""],
        [" "],
        [","],
        ["a"],
        ['"a'],
        ['a"'],
        ['"a" "b"'],
        ['"a"b'],
        ['w/"a"'],
        ['W/ "a"'],
        ['*, "a"'],
        ["*", '"a"'],
        ["**"],
        ['"a b"'],
        ['"a\x7f"'],
        ["'a'"],
        ['"' + "a" * 5000 + '"'],
        ['"a",' * 2000],
    ],
)
def test_a_malformed_header_is_a_bad_request(lines: list[str]) -> None:
    with pytest.raises(BadRequest):
        if_match(lines)


def test_no_header_is_no_precondition() -> None:
    with pytest.raises(PreconditionRequired):
        if_match([])


def test_tags_are_compared_strongly_and_a_star_takes_what_is_there() -> None:
    etag = entity_tag("rule", 1, "BLOCKLIST", None)
    assert if_match([etag]).holds(etag)
    assert not if_match([f"W/{etag}"]).holds(etag)
    assert if_match([f'"x", W/{etag}, {etag}']).holds(etag)
    assert if_match([" * "]) == ANY
    assert ANY.holds(etag)


def test_a_tag_names_one_version_of_one_object() -> None:
    tags = {
        entity_tag("rule", 1, "a", "b"),
        entity_tag("rule", 1, "ab", ""),
        entity_tag("rule", 1, "a", None),
        entity_tag("rule", 2, "a", "b"),
        entity_tag("rule", "1", "a", "b"),
        entity_tag("tag", 1, "a", "b"),
        entity_tag("rule", 1, "b", "a"),
    }
    assert len(tags) == 7
    assert entity_tag("x", 1, {"a": 1, "b": 2}) == entity_tag("x", 1, {"b": 2, "a": 1})


# The document


def test_every_change_of_an_object_demands_the_header() -> None:
    found = {
        f"{method.upper()} {path}": [
            one for one in operation.get("parameters", []) if one["name"] == "If-Match" and one["required"]
        ]
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if method in {"put", "patch", "delete"}
    }
    assert {name for name, demands in found.items() if not demands} == set(WITHOUT)
    assert len(found) > 15


def test_every_change_of_an_object_says_what_can_go_wrong() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            if any(one["name"] == "If-Match" for one in operation.get("parameters", [])):
                assert {"400", "404", "412", "428"} <= operation["responses"].keys(), (method, path)


def request_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the schema of each object that a request may hold, however deep."""
    schemas = DOCUMENT["components"]["schemas"]
    left = [
        (f"{method} {path}", operation["requestBody"]["content"]["application/json"]["schema"])
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    ]
    seen = set()
    while left:
        where, schema = left.pop()
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name in seen:
                continue
            seen.add(name)
            where, schema = name, schemas[name]
        if schema.get("type") == "object":
            yield where, schema
        nested = [*schema.get("properties", {}).values(), *schema.get("anyOf", []), *schema.get("allOf", [])]
        if "items" in schema:
            nested.append(schema["items"])
        left += [(where, one) for one in nested]


def test_no_request_takes_a_field_without_a_name() -> None:
    found = dict(request_schemas())
    assert [name for name, schema in found.items() if schema.get("additionalProperties") is not False] == []
    assert {"RulePatch", "SettingsPatch", "MediaPolicyUpdate", "StaticRule", "Login"} <= found.keys()


def models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield all models below one."""
    for model in base.__subclasses__():
        yield model
        yield from models(model)


def test_what_takes_requests_refuses_unknown_fields_with_their_path() -> None:
    assert all(model.model_config.get("extra") == "forbid" for model in models(Input))


# Every kind of object


@dataclass(frozen=True)
class Kind:
    """Something that can be changed: where it is read, and two different changes of it."""

    name: str
    path: str
    method: str
    bodies: tuple[Any, Any]
    fields: list[str]
    """What the first change changes."""
    read: str = ""
    """Where it is read, when that is another path."""

    def __str__(self) -> str:
        return f"{self.name} {self.method}"

    @property
    def source(self) -> str:
        """Where its version is read."""
        return self.read or self.path


def content(**fields: object) -> dict[str, object]:
    """Return all of a rule's content."""
    plain = {"policy": "ALLOWLIST", "cel_expr": None, "custom_msg": "", "custom_url": "", "comment": ""}
    return {**plain, "locked": False, "starts_at": None, "expires_at": None, **fields}


def definition(**fields: object) -> dict[str, object]:
    """Return all of a tag's definition."""
    return {"name": "lab", "description": "", "predicate": None, "groups": [], "enrollments": [], **fields}


SERIALS = "/enrollments/{listed}/serials"
KINDS = [
    Kind("rule", "/rules/{rule}", "PUT", (content(comment="a"), content(comment="b")), ["comment"]),
    Kind("rule", "/rules/{rule}", "PATCH", ({"custom_msg": "a"}, {"locked": True}), ["custom_msg"]),
    Kind("rule", "/rules/{rule}", "DELETE", (None, None), []),
    Kind("tag", "/tags/{tag}", "PUT", (definition(groups=["a"]), definition(groups=["b"])), ["groups"]),
    Kind("tag", "/tags/{tag}", "PATCH", ({"predicate": "true"}, {"description": "b"}), ["predicate"]),
    Kind("tag", "/tags/{tag}", "DELETE", (None, None), []),
    Kind("order", "/tags/order", "PUT", ({"tags": "{order}"}, {"tags": "{rotated}"}), ["tags"]),
    Kind("member", "/tags/{tag}/members/{mac}", "PUT", (None, None), ["manual"]),
    Kind("member", "/tags/{tag}/members/{member}", "DELETE", (None, None), ["manual"]),
    Kind("settings", "/settings", "PATCH", ({"batch_size": 7}, {"batch_size": 8}), ["batch_size"]),
    Kind(
        "layer",
        "/settings/layer?layer=tag:lab",
        "PUT",
        ({"values": {"batch_size": 7}, "locked": []}, {"values": {}, "locked": []}),
        ["batch_size", "full_sync_interval"],
    ),
    Kind(
        "layer",
        "/settings/layer?layer=machine:{mac}",
        "PATCH",
        ({"values": {"batch_size": 7}, "locked": ["batch_size"]}, {"values": {"enable_bundles": False}}),
        ["batch_size", "locked"],
    ),
    Kind(
        "layer",
        "/settings/layer?layer=user:nobody",
        "PATCH",
        ({"values": {"batch_size": 7}}, {"values": {"batch_size": 8}}),
        ["batch_size"],
    ),
    Kind(
        "monitor mode",
        "/machines/{mac}/monitor-mode",
        "POST",
        ({"minutes": 5, "reason": "a"}, {"minutes": 9, "reason": "b"}),
        ["monitor_until"],
        read="/machines/{mac}",
    ),
    Kind(
        "monitor mode",
        "/machines/{monitored}/monitor-mode",
        "DELETE",
        (None, None),
        ["monitor_until"],
        read="/machines/{monitored}",
    ),
    Kind(
        "enrollment",
        "/enrollments/{listed}",
        "PATCH",
        ({"reenroll_retired": True, "expires_at": "2099-01-02T03:04:05Z"}, {"label": "y"}),
        ["expires_at", "reenroll_retired"],
    ),
    Kind(
        "enrollment", "/enrollments/{listed}/serials", "PATCH", ({"add": ["A"]}, {"add": ["B"]}), ["serials"]
    ),
    Kind("enrollment", SERIALS, "DELETE", (None, None), ["serials"]),
    Kind("user", "/users/{user}", "PATCH", ({"display_name": "a"}, {"disabled": True}), ["display_name"]),
    Kind(
        "user",
        "/users/{user}",
        "PATCH",
        ({"password": "a long password"}, {"password": "another one, longer"}),
        [],
    ),
    Kind("essential", "/essentials/{essential}", "PATCH", ({"use": "VPN"}, {"paths": ["/a"]}), ["use"]),
    Kind("essential", "/essentials/{essential}", "DELETE", (None, None), []),
    Kind(
        "contact",
        "/blocked/contact",
        "PUT",
        ({"text": "a", "url": ""}, {"text": "b", "url": ""}),
        ["text"],
    ),
]


class World:
    """A server with one of everything, and two administrators."""

    def __init__(self, server: RunningServer) -> None:
        """Make what stays."""
        self.server = server
        self.number = 0
        self.one, self.other = self._client(), self._client()
        self.macs = []
        for name in ("one", "two", "three"):
            mac = SimulatedMac(server.url, machine_id=f"MAC-{name}", hostname=name)
            mac.sync()
            mac.close()
            self.macs.append(mac.machine_id)

    def _client(self) -> RestClient:
        client = self.server.client()
        body = {"username": ADMIN[0], "password": ADMIN[1]}
        assert client.post("/api/v1/auth/login", json=body).is_success
        client.careful = True
        return client

    def close(self) -> None:
        """Close the clients."""
        self.one.close()
        self.other.close()

    def made(self, path: str, **body: object) -> Any:  # noqa: ANN401 - JSON
        """Create something."""
        response = self.one.post(f"/api/v1{path}", json=body)
        assert response.status_code == httpx.codes.CREATED, response.text
        return response.json()

    def fill(self, kind: Kind) -> Callable[[Any], Any]:
        """Make what a kind needs; return what puts it into paths and bodies."""
        self.number += 1
        names: dict[str, object] = {"mac": self.macs[0], "member": self.macs[1], "monitored": self.macs[2]}
        text = f"{kind.path} {kind.bodies}"
        lab = self.one.get("/api/v1/tags").json()
        tag = next((one for one in lab if one["name"] == "lab"), None) or self.made("/tags", name="lab")
        others = [self.made("/tags", name=f"t{self.number}{part}")["id"] for part in "ab"]
        names["tag"] = tag["id"]
        self.set(f"/tags/{tag['id']}/members/{self.macs[0]}", "DELETE")
        self.set(f"/tags/{tag['id']}/members/{self.macs[1]}", "PUT")
        if "{rule}" in text:
            identifier = f"{self.number:064x}"
            rule = {"rule_type": "BINARY", "identifier": identifier, "policy": "ALLOWLIST"}
            names["rule"] = self.made("/rules", **rule)["id"]
        if "{essential}" in text:
            wanted = {"name": f"e{self.number}", "rule_type": "TEAMID", "identifiers": ["ABCDEFGHIJ"]}
            names["essential"] = self.made("/essentials", **wanted)["id"]
        if "{listed}" in text:
            names["listed"] = self.made("/enrollments", label="x", serial_allowlist=["C"])["enrollment"]["id"]
        if "{user}" in text:
            account = {"username": f"u{self.number}", "password": "long enough, 123", "roles": []}
            names["user"] = self.made("/users", **account)["id"]
        self.set(f"/machines/{self.macs[2]}/monitor-mode", "POST", {"minutes": 5, "reason": "x"})
        self.set(f"/machines/{self.macs[0]}/monitor-mode", "DELETE")
        self.set("/settings/layer?layer=global", "PUT", {"values": {}, "locked": []})
        self.set(f"/settings/layer?layer=machine:{self.macs[0]}", "PUT", {"values": {}, "locked": []})
        self.set("/settings/layer?layer=user:nobody", "PUT", {"values": {}, "locked": []})
        self.set("/settings/layer?layer=tag:lab", "PUT", {"values": {"full_sync_interval": 90}, "locked": []})
        self.set("/blocked/contact", "PUT", {"text": "", "url": ""})
        order = [one["id"] for one in self.one.get("/api/v1/tags").json()]
        assert len(others) == 2
        rotated = [order[1:] + order[:1], order[::-1]]

        def filled(value: Any) -> Any:  # noqa: ANN401 - JSON
            if value == {"tags": "{order}"}:
                return {"tags": rotated[0]}
            if value == {"tags": "{rotated}"}:
                return {"tags": rotated[1]}
            if isinstance(value, str):
                for name, number in names.items():
                    value = value.replace(f"{{{name}}}", str(number))
            return value

        return filled

    def set(self, path: str, method: str, body: object = None) -> None:
        """Bring something into a state, whatever state it is in."""
        response = self.send(self.one, method, path, body, "*")
        assert response.is_success, response.text

    def send(
        self, client: RestClient, method: str, path: str, body: object, if_match: str | None
    ) -> httpx.Response:
        """Send a change as one of the administrators."""
        headers = {} if if_match is None else {"If-Match": if_match}
        return client.request(method, f"/api/v1{path}", json=body, headers=headers)

    def etag(self, path: str) -> str:
        """Read the version of something."""
        response = self.one.get(f"/api/v1{path}")
        assert response.is_success, response.text
        return response.headers["etag"]


@pytest.fixture(scope="module")
def world(cluster: Cluster, template: str) -> Iterator[World]:
    """One world for all tests of this file."""
    name = cluster.create(template)
    with RunningServer(cluster.dsn(name), {"CONFIRM_ABOVE": "1000000"}) as server:
        made = World(server)
        yield made
        made.close()
    cluster.drop(name)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_change_says_which_version_it_is_for(world: World, kind: Kind) -> None:
    filled = world.fill(kind)
    path, body, source = filled(kind.path), filled(kind.bodies[0]), filled(kind.source)
    before = world.one.get(f"/api/v1{source}")
    for header, status in ((None, 428), ("x", 400), (before.headers["etag"].strip('"'), 400)):
        response = world.send(world.one, kind.method, path, body, header)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        assert "If-Match" in response.json()["detail"]
    for header in (f"W/{before.headers['etag']}", '"another-version"', '""'):
        response = world.send(world.one, kind.method, path, body, header)
        assert response.status_code == 412, response.text
        assert response.headers["etag"] == before.headers["etag"]
    after = world.one.get(f"/api/v1{source}")
    assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])
    listed = f'"x", {before.headers["etag"]}'
    assert world.send(world.one, kind.method, path, body, listed).is_success


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_who_comes_second_learns_what_the_first_one_changed(world: World, kind: Kind) -> None:
    filled = world.fill(kind)
    path, source = filled(kind.path), filled(kind.source)
    seen = world.etag(source)
    first = world.send(world.one, kind.method, path, filled(kind.bodies[0]), seen)
    assert first.is_success, first.text
    gone = world.one.get(f"/api/v1{source}").status_code == 404
    second = world.send(world.other, kind.method, path, filled(kind.bodies[1]), seen)
    assert second.status_code == (404 if gone else 412), second.text
    if gone:
        return
    told = second.json()
    assert told["current"]["etag"] == world.etag(source) == first.headers["etag"]
    (change,) = told["changes"] if kind.fields else told["changes"][:1]
    assert (change["actor"], change["actor_kind"], change["fields"]) == ("admin", "user", kind.fields)
    assert "admin changed this" in told["detail"]
    again = world.send(world.other, kind.method, path, filled(kind.bodies[1]), told["current"]["etag"])
    assert again.is_success, again.text


LOCKS = {
    "monitor mode": "select from machine for update",
    "enrollment": "select from enrollment for update",
    "essential": "select from essential for update",
    "contact": "select from blocked_contact for update",
    "user": "lock table binding in exclusive mode",
}
"""What stops a change of a kind until it is released; of the others: the policy's head."""
WAITING = """select count(*) from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'"""


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_of_two_at_once_exactly_one_wins(world: World, kind: Kind) -> None:
    """Both have got as far as the lock that every change of the object takes when the first one gets it."""
    filled = world.fill(kind)
    path, seen = filled(kind.path), world.etag(filled(kind.source))

    def change(client: RestClient, body: object) -> int:
        return world.send(client, kind.method, path, filled(body), seen).status_code

    lock = LOCKS.get(kind.name, "select from policy_head for update")
    with ThreadPoolExecutor(2) as threads:
        with held(world.server.dsn, lock) as holder:
            pairs = zip((world.one, world.other), kind.bodies, strict=True)
            results = [threads.submit(change, *pair) for pair in pairs]
            holder.until(lambda: value(world.server.dsn, WAITING) >= len(results))
        statuses = sorted(result.result() for result in results)
    assert statuses[0] in {200, 204}
    assert statuses[1] in ({404, 412} if kind.method == "DELETE" else {412})


def test_the_changes_since_a_version_are_all_told_and_no_others(world: World) -> None:
    filled = world.fill(KINDS[1])
    path = filled("/rules/{rule}")
    world.send(world.one, "PATCH", path, {"comment": "before"}, "*")
    seen = world.etag(path)
    for body in ({"custom_msg": "a", "reason": "why a"}, {"policy": "BLOCKLIST"}, {"locked": True}):
        world.set(path, "PATCH", body)
    told = world.send(world.other, "PATCH", path, {"comment": "late"}, seen).json()
    assert [(change["fields"], change["reason"]) for change in told["changes"]] == [
        (["locked"], ""),
        (["policy"], ""),
        (["custom_msg"], "why a"),
    ]
    assert [change["kind"] for change in told["changes"]] == ["rule_changed"] * 3
    assert told["current"] == world.one.get(f"/api/v1{path}").json()


def test_lists_have_the_version_of_each_item(world: World) -> None:
    members = world.fill(KINDS[7])("/tags/{tag}/members")
    world.fill(next(kind for kind in KINDS if kind.name == "essential"))
    for path, number in (
        ("/rules", "id"),
        ("/tags", "id"),
        ("/enrollments", "id"),
        ("/users", "id"),
        ("/machines", "machine_id"),
        ("/essentials", "id"),
    ):
        answer = world.one.get(f"/api/v1{path}").json()
        items = answer if isinstance(answer, list) else answer["items"]
        assert items
        for item in items[:3]:
            assert item["etag"] == world.etag(f"{path}/{item[number]}")
    (member,) = world.one.get(f"/api/v1{members}").json()["items"]
    assert member["etag"] == world.etag(f"{members}/{member['machine_id']}")


def test_a_version_is_that_of_the_content_not_of_the_macs(world: World) -> None:
    filled = world.fill(KINDS[0])
    paths = [filled(path) for path in ("/rules/{rule}", "/tags/{tag}", "/machines/{member}")]
    before = [world.etag(path) for path in paths]
    mac = SimulatedMac(world.server.url, machine_id=world.macs[1], hostname="renamed")
    mac.sync()
    mac.close()
    assert [world.etag(path) for path in paths] == before


def test_what_a_put_leaves_out_is_named_and_not_reset(world: World) -> None:
    filled = world.fill(KINDS[0])
    path = filled("/rules/{rule}")
    late = "2099-01-01T00:00:00Z"
    world.set(path, "PATCH", {"expires_at": late, "locked": True, "comment": "kept"})
    for missing in content():
        body = {name: value for name, value in content(locked=True).items() if name != missing}
        response = world.send(world.one, "PUT", path, body, "*")
        assert response.status_code == 422, missing
        assert [error["field"] for error in response.json()["errors"]] == [missing]
    for patch in ({"policy": "BLOCKLIST"}, {"custom_msg": "x"}, {}):
        world.set(path, "PATCH", patch)
    rule = world.one.get(f"/api/v1{path}").json()
    assert (rule["expires_at"], rule["locked"], rule["comment"]) == (late, True, "kept")
    assert (rule["policy"], rule["custom_msg"]) == ("BLOCKLIST", "x")
    world.set(path, "PATCH", {"expires_at": None})
    assert world.one.get(f"/api/v1{path}").json()["expires_at"] is None
    for wrong in ({"policy": None}, {"locked": None}, {"expires": None}, {"comment": None}):
        response = world.send(world.one, "PATCH", path, wrong, "*")
        assert response.status_code == 422, wrong
        assert [error["field"] for error in response.json()["errors"]] == list(wrong)


def test_an_expression_goes_with_its_policy(world: World) -> None:
    path = world.fill(KINDS[0])("/rules/{rule}")
    world.set(path, "PATCH", {"policy": "CEL", "cel_expr": "args.size() > 1"})
    world.set(path, "PATCH", {"comment": "still CEL"})
    assert world.one.get(f"/api/v1{path}").json()["cel_expr"] == "args.size() > 1"
    world.set(path, "PATCH", {"policy": "BLOCKLIST"})
    assert world.one.get(f"/api/v1{path}").json()["cel_expr"] is None


def test_settings_are_changed_one_by_one(world: World) -> None:
    world.fill(KINDS[9])
    layer = "/settings/layer?layer=tag:lab"
    media = {"action": "remount", "flags": ["noexec"]}
    world.set(layer, "PATCH", {"values": {"client_mode": "MONITOR", "removable_media_policy": media}})
    world.set(layer, "PATCH", {"locked": ["client_mode"]})
    world.set(layer, "PATCH", {"values": {"batch_size": 5, "full_sync_interval": None}})
    shown = world.one.get(f"/api/v1{layer}").json()
    assert shown["values"] == {"client_mode": "MONITOR", "removable_media_policy": media, "batch_size": 5}
    assert shown["locked"] == ["client_mode"]
    world.set(layer, "PATCH", {"unset": ["client_mode"]})
    world.set(layer, "PATCH", {"values": {"encrypted_removable_media_policy": None}})
    shown = world.one.get(f"/api/v1{layer}").json()
    assert shown["locked"] == []
    assert shown["values"]["encrypted_removable_media_policy"] is None, "null is a value of this one"
    assert "client_mode" not in shown["values"]
    world.set(layer, "PATCH", {"unset": ["encrypted_removable_media_policy"]})
    assert "encrypted_removable_media_policy" not in world.one.get(f"/api/v1{layer}").json()["values"]


@pytest.mark.parametrize("path", ["/settings", "/settings/layer?layer=tag:lab"])
def test_every_setting_can_be_null(world: World, path: str) -> None:
    world.fill(KINDS[9])
    for name in SettingsPatch.model_fields:
        world.set(path, "PATCH", {name: None} if path == "/settings" else {"values": {name: None}})
    stored = world.one.get("/api/v1/settings/layer?layer=tag:lab").json()
    assert stored["values"].keys() <= {"full_sync_interval", "encrypted_removable_media_policy"}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/settings/layer?layer=tag:lab", {"values": {"batch_sise": 5}}, "values.batch_sise"),
        ("/settings/layer?layer=tag:lab", {"unset": ["batch_sise"]}, "unset"),
        ("/settings/layer?layer=tag:lab", {"values": {"batch_size": 5}, "unset": ["batch_size"]}, "unset"),
        ("/settings/layer?layer=tag:lab", {"locked": ["enable_bundles"]}, "locked"),
        ("/settings/layer?layer=tag:lab", {"value": {}}, "value"),
        (
            "/settings/layer?layer=tag:lab",
            {"values": {"removable_media_policy": {"flags": []}}},
            "values.removable_media_policy.action",
        ),
        (
            "/settings/layer?layer=tag:lab",
            {"values": {"removable_media_policy": {"action": "block", "flag": []}}},
            "values.removable_media_policy.flag",
        ),
        ("/settings", {"clientmode": "LOCKDOWN"}, "clientmode"),
        ("/settings", {"batch_size": 0}, "batch_size"),
        ("/tags/{tag}", {"predicat": "true"}, "predicat"),
        ("/tags/{tag}", {"name": None}, "name"),
        ("/rules/{rule}", {"identifier": "x"}, "identifier"),
        ("/rules/{rule}", {"layer": "global"}, "layer"),
    ],
)
def test_a_wrong_patch_names_its_field_and_changes_nothing(
    world: World, path: str, body: object, field: str
) -> None:
    path = world.fill(KINDS[0])(path)
    before = world.etag(path)
    response = world.send(world.one, "PATCH", path, body, before)
    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert world.etag(path) == before


def test_a_refused_change_leaves_no_trace(world: World) -> None:
    filled = world.fill(KINDS[0])
    counts = "select (select count(*) from audit_log) || ' ' || (select seq from policy_head)"
    before = value(world.server.dsn, counts)
    for method, path, body in (
        ("PATCH", "/rules/{rule}", {"comment": "x"}),
        ("DELETE", "/tags/{tag}", None),
        ("PUT", "/tags/{tag}/members/{mac}", None),
        ("PATCH", "/settings/layer?layer=user:new", {"values": {"batch_size": 3}}),
    ):
        response = world.send(world.one, method, filled(path), body, '"old"')
        assert response.status_code == 412, response.text
    assert value(world.server.dsn, counts) == before
    assert value(world.server.dsn, "select count(*) from layer where name = 'new'") == 0
