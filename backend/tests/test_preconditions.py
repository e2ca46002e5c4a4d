"""Nobody overwrites a change that they have not seen: `If-Match` on every object that can be changed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from santaserver.sync_settings.schemas import SettingsPatch
from tests.precondition_kinds import KINDS, Kind, World, content
from tests.support.postgres import Cluster, held, value
from tests.support.rest_client import RestClient
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


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
    **dict.fromkeys(("user", "role", "group"), "lock table binding in exclusive mode"),
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
    assert statuses[0] in {200, 201, 204}
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
