"""Layers over HTTP: which rules and settings of which layer reach which Mac."""

import json
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from santaserver import unit_of_work
from santaserver.sync import repository
from tests.support.postgres import execute, fetch, value
from tests.support.rest_client import plain
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import (
    add_rule,
    change_rule,
    clean_reason,
    give,
    machine,
    policies,
    remove_rule,
    sha,
    tag,
)

BLOCK, ALLOW = "BLOCKLIST", "ALLOWLIST"


@pytest.fixture
def other(server: RunningServer) -> Iterator[SimulatedMac]:
    """Another Mac, with another user."""
    made = SimulatedMac(server.url, hostname="lab-1.example.com", serial="C02OTHER")
    made.primary_user, made.groups = "Riley", ["Finance"]
    yield made
    made.close()


def test_the_highest_layer_wins(admin: httpx.Client, mac: SimulatedMac, other: SimulatedMac) -> None:
    mac.sync(), other.sync()
    low, high = tag(admin, "low"), tag(admin, "high")
    for tag_id in (low, high):
        give(admin, tag_id, mac)
    layers = ("global", "tag:low", "tag:high", "user:SIM", f"machine:{mac.machine_id}")
    for number, layer in enumerate(layers):
        for target in range(number, len(layers)):
            add_rule(admin, sha(target), BLOCK if number % 2 else ALLOW, layer=layer)
    assert policies(mac) == {sha(n): BLOCK if n % 2 else ALLOW for n in range(5)}
    assert policies(other) == {sha(n): ALLOW for n in range(5)}
    shown = [layer["layer"] for layer in admin.get("/api/v1/layers").json()]
    assert shown == ["global", "tag:low", "tag:high", "user:sim", f"machine:{mac.machine_id}"]


def test_a_rule_that_a_mac_cannot_take_does_not_hide_the_next_one(
    admin: httpx.Client, mac: SimulatedMac, other: SimulatedMac
) -> None:
    mac.sync()
    other.santa_version = "2025.5.1"
    other.sync()
    for member in (mac, other):
        give(admin, tag(admin, f"t-{member.hostname}"), member)
    cel = {"cel_expr": "euid == 0"}
    for member in (mac, other):
        own, tagged = f"machine:{member.machine_id}", f"tag:t-{member.hostname}"
        for number, layer in ((1, own), (2, own), (3, own), (4, tagged), (5, own), (6, own)):
            locked = number == 4
            add_rule(admin, sha(number), "CEL", layer=layer, locked=locked, **cel)
        add_rule(admin, sha(2), ALLOW, layer=tagged)
        add_rule(admin, sha(3), "NONE", layer=tagged)
        add_rule(admin, sha(4), ALLOW, layer=own)
        add_rule(admin, sha(5), "CEL", layer=tagged, cel_expr="path == '/bin/ls'")
    for number in (1, 2, 3, 4, 5):
        add_rule(admin, sha(number), BLOCK)
    assert policies(mac) == dict.fromkeys([sha(n) for n in range(1, 7)], "CEL")
    assert policies(other) == {sha(1): BLOCK, sha(2): ALLOW, sha(4): ALLOW, sha(5): BLOCK}
    asked = {"machine_id": other.machine_id, "sha256": sha(5)}
    target = admin.get("/api/v1/explain/program", params=asked).json()["targets"][0]
    assert target["policy"] == BLOCK
    assert [one["outcome"] for one in target["candidates"]] == ["wins", "not_supported", "not_supported"]
    assert target["candidates"][0]["why"].endswith("order of precedence that Santa 2025.5 supports")
    listed = admin.get("/api/v1/explain/rules", params={"machine_id": other.machine_id}).json()["items"]
    assert {rule["identifier"]: rule["policy"] for rule in listed} == policies(other)
    shown = machine(admin, other)["undelivered_rules"]["items"]
    assert [(rule["identifier"], rule["next_policy"], rule["next_layer"]) for rule in shown] == [
        (sha(1), BLOCK, "global"),
        (sha(2), ALLOW, f"tag:t-{other.hostname}"),
        (sha(3), "NONE", f"tag:t-{other.hostname}"),
        (sha(4), ALLOW, f"machine:{other.machine_id}"),
        (sha(5), BLOCK, "global"),
        (sha(6), None, None),
    ]


def test_the_lowest_locked_rule_wins(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    give(admin, tag(admin, "t"), mac)
    add_rule(admin, sha(1), BLOCK, locked=True)
    add_rule(admin, sha(1), ALLOW, layer="tag:t", locked=True)
    add_rule(admin, sha(2), BLOCK, layer="tag:t", locked=True)
    add_rule(admin, sha(2), ALLOW, layer=f"machine:{mac.machine_id}")
    assert policies(mac) == {sha(1): BLOCK, sha(2): BLOCK}


def test_none_masks_lower_layers(admin: httpx.Client, mac: SimulatedMac) -> None:
    add_rule(admin, sha(1), BLOCK)
    assert policies(mac) == {sha(1): BLOCK}
    mask = add_rule(admin, sha(1), "NONE", layer=f"machine:{mac.machine_id}")
    assert policies(mac) == {}
    remove_rule(admin, mask)
    assert policies(mac) == {sha(1): BLOCK}
    refused = admin.post(
        "/api/v1/rules", json={"rule_type": "BINARY", "identifier": sha(2), "policy": "NONE"}
    )
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_a_tag_that_is_taken_back_takes_its_rules_along(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    tag_id = tag(admin, "t")
    add_rule(admin, sha(1), BLOCK)
    add_rule(admin, sha(1), ALLOW, layer="tag:t")
    add_rule(admin, sha(2), ALLOW, layer="tag:t")
    give(admin, tag_id, mac)
    assert policies(mac) == {sha(1): ALLOW, sha(2): ALLOW}
    assert machine(admin, mac)["tags"] == ["t"]
    give(admin, tag_id, mac, "DELETE")
    assert policies(mac) == {sha(1): BLOCK}


def test_members_come_by_group_predicate_and_enrollment(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, other: SimulatedMac
) -> None:
    enrollment = value(server.dsn, "select id from enrollment")
    other.secret = "enrollment-secret-of-the-tests"
    tags = {
        "group": tag(admin, "finance", groups=["FINANCE"]),
        "predicate": tag(admin, "lab", predicate="hostname.startsWith('lab-') && 'Finance' in groups"),
        "enrollment": tag(admin, "enrolled", enrollments=[enrollment]),
    }
    for number, name in enumerate(("finance", "lab", "enrolled")):
        add_rule(admin, sha(number), layer=f"tag:{name}")
    assert policies(mac) == {}
    assert policies(other) == {sha(n): BLOCK for n in range(3)}
    for source, tag_id in tags.items():
        members = admin.get(f"/api/v1/tags/{tag_id}/members").json()["items"]
        assert [(row["machine_id"], row["sources"]) for row in members] == [(other.machine_id, [source])]
    other.hostname, other.groups = "desk-1.example.com", []
    assert policies(other) == {sha(2): BLOCK}
    left = fetch(server.dsn, "select source from tag_member where left_at is not null order by 1")
    assert [row["source"] for row in left] == ["group", "predicate"]


def test_a_mac_is_not_called_in_sync_before_it_was_asked_for_a_tags_new_members(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    tag_id = tag(admin, "lab")
    add_rule(admin, sha(1), layer="tag:lab")
    mac.sync()
    assert machine(admin, mac)["sync_state"] == "in_sync"
    changed = admin.patch(f"/api/v1/tags/{tag_id}", json={"name": "lab", "predicate": "true"})
    assert changed.status_code == httpx.codes.OK, changed.text
    assert machine(admin, mac)["sync_state"] == "pending"
    assert policies(mac) == {sha(1): BLOCK}
    assert machine(admin, mac)["sync_state"] == "in_sync"
    give(admin, tag(admin, "other"), mac)
    assert machine(admin, mac)["sync_state"] == "pending"
    mac.sync()
    assert machine(admin, mac)["sync_state"] == "in_sync"


def test_a_predicate_that_fails_makes_no_member(admin: httpx.Client, mac: SimulatedMac) -> None:
    tag(admin, "t", predicate="groups[7] == 'x'")
    add_rule(admin, sha(1), layer="tag:t")
    assert policies(mac) == {}
    for wrong in ("hostname", "nosuch == 1", "hostname ==", "1 +"):
        response = admin.post("/api/v1/tags", json={"name": "w", "predicate": wrong})
        assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY, wrong
        assert response.json()["errors"][0]["field"] == "predicate"


def test_the_order_of_tags_can_change(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    first, second = tag(admin, "first"), tag(admin, "second")
    for tag_id, name, policy in ((first, "first", BLOCK), (second, "second", ALLOW)):
        give(admin, tag_id, mac)
        add_rule(admin, sha(1), policy, layer=f"tag:{name}")
    assert policies(mac) == {sha(1): ALLOW}
    assert admin.put("/api/v1/tags/order", json={"tags": [second]}).status_code == httpx.codes.CONFLICT
    ordered = admin.put("/api/v1/tags/order", json={"tags": [second, first]}).json()
    assert [shown["name"] for shown in ordered] == ["second", "first"]
    assert policies(mac) == {sha(1): BLOCK}


def test_a_removed_tag_takes_its_rules_and_settings_along(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    tag_id = tag(admin, "t")
    give(admin, tag_id, mac)
    add_rule(admin, sha(1), layer="tag:t")
    body = {"values": {"client_mode": "LOCKDOWN"}}
    assert admin.patch("/api/v1/settings/layer?layer=tag:t", json=body).status_code == httpx.codes.OK
    assert policies(mac) == {sha(1): BLOCK}
    assert mac.client_mode == "LOCKDOWN"
    assert admin.delete(f"/api/v1/tags/{tag_id}").status_code == httpx.codes.NO_CONTENT
    assert policies(mac) == {}
    assert mac.client_mode == "MONITOR"
    assert admin.get("/api/v1/rules").json()["items"] == []
    tag(admin, "t")


def test_settings_are_layered_like_rules_and_answered_complete(
    admin: httpx.Client, mac: SimulatedMac, other: SimulatedMac
) -> None:
    before = mac.sync().settings
    other.sync()
    give(admin, tag(admin, "t"), mac)

    def put(layer: str, values: dict[str, object], *locked: str) -> httpx.Response:
        body = {"values": values, "locked": list(locked)}
        return admin.put("/api/v1/settings/layer", params={"layer": layer}, json=body)

    assert put("tag:t", {"full_sync_interval": 90, "batch_size": 10}).status_code == httpx.codes.OK
    own = f"machine:{mac.machine_id}"
    assert plain(put(own, {"batch_size": 20, "client_mode": "LOCKDOWN"})) == {
        "layer": own,
        "values": {"batch_size": 20, "client_mode": "LOCKDOWN"},
        "locked": [],
    }
    wanted = {**before, "full_sync_interval": 90, "batch_size": 20, "client_mode": "LOCKDOWN"}
    assert mac.sync().settings == wanted
    assert other.sync().settings == before
    assert put("global", {"client_mode": "MONITOR"}, "client_mode").status_code == httpx.codes.OK
    assert mac.sync().settings == {**wanted, "client_mode": "MONITOR"}
    shown = admin.get("/api/v1/explain/settings", params={"machine_id": mac.machine_id}).json()
    assert shown["origins"]["client_mode"] == {"layer": "global", "locked": True}
    assert shown["origins"]["batch_size"] == {"layer": own, "locked": False}
    assert shown["origins"]["event_detail_url"] == {"layer": None, "locked": False}
    assert shown["settings"]["batch_size"] == 20
    assert put("tag:t", {"batch_size": 10}, "client_mode").status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert put("tag:no", {}).status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_settings_are_byte_for_byte_the_same_until_they_change(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    mac.sync()
    first = mac.post_raw("preflight", b'{"serial_num":"S"}').content
    add_rule(admin, sha(1))
    assert mac.post_raw("preflight", b'{"serial_num":"S"}').content == first


def test_a_change_elsewhere_leaves_a_sync_idle(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    tag(admin, "t")
    add_rule(admin, sha(1), layer="tag:t")
    sessions = value(server.dsn, "select count(*) from sync_session")
    assert mac.sync().received == 0
    assert value(server.dsn, "select count(*) from sync_session") == sessions
    assert machine(admin, mac)["sync_state"] == "in_sync"


def test_a_shadowed_rule_is_not_sent_and_its_end_is_not_either(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    add_rule(admin, sha(1), ALLOW, layer=f"machine:{mac.machine_id}")
    mac.sync()
    below = add_rule(admin, sha(1), BLOCK)
    assert mac.sync().received == 0
    remove_rule(admin, below)
    assert mac.sync().received == 0


def test_a_rule_starts_and_expires_on_time(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    def at(hours: float) -> str:
        return (server.clock() + timedelta(hours=hours)).isoformat()

    mac.sync()
    later = add_rule(admin, sha(1), starts_at=at(1), expires_at=at(3))
    add_rule(admin, sha(2), expires_at=at(2))
    waiting = admin.get(f"/api/v1/rules/{later}").json()
    assert (waiting["state"], waiting["seq"]) == ("waiting", None)
    for hours, wanted in ((0.5, {sha(2)}), (1, {sha(1), sha(2)}), (1, {sha(1)}), (1, set())):
        server.clock.advance(hours=hours)
        assert set(policies(mac)) == wanted
    assert admin.get("/api/v1/rules").json()["items"] == []
    actions = fetch(server.dsn, "select action from audit_log where actor_name = 'schedule' order by id")
    assert [row["action"] for row in actions] == ["rule_activated", "rule_expired", "rule_expired"]
    assert value(server.dsn, "select next_change_at from policy_head") is None


def test_many_rules_that_expire_together_are_one_audit_entry(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_of_work, "EACH", 2)
    at = (server.clock() + timedelta(hours=1)).isoformat()
    ended = [add_rule(admin, sha(number), expires_at=at) for number in range(3)]
    kept = add_rule(admin, sha(4))
    started = [add_rule(admin, sha(number), starts_at=at) for number in (5, 6)]
    mac.sync()
    server.clock.advance(hours=2)
    assert set(policies(mac)) == {sha(4), sha(5), sha(6)}
    written = fetch(
        server.dsn,
        """select action, object_id, after ->> 'rules' as number, after -> 'ids' as ids, policy_seq
           from audit_log where actor_name = 'schedule' order by id""",
    )
    *each, together = [dict(row) for row in written]
    assert [(row["action"], row["object_id"]) for row in each] == [
        ("rule_activated", str(rule)) for rule in started
    ]
    assert (together["action"], together["object_id"], together["number"]) == ("rule_expired", "*", "3")
    assert sorted(json.loads(together["ids"])) == ended
    assert kept not in ended
    assert together["policy_seq"] == value(server.dsn, "select seq from policy_head")


def test_a_number_that_was_rolled_back_leaves_nothing_behind(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preflight expires a rule and fails; the number that it took is then another change's."""
    add_rule(admin, sha(1), expires_at=(server.clock() + timedelta(hours=1)).isoformat())
    mac.sync()
    server.clock.advance(hours=2)
    open_session = repository.open_session

    async def broken(*_: object) -> int:
        raise RuntimeError("made to fail")

    monkeypatch.setattr(repository, "open_session", broken)
    failed = mac.post_raw("preflight", json.dumps(mac.preflight_body()).encode())
    assert failed.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    monkeypatch.setattr(repository, "open_session", open_session)
    add_rule(admin, sha(2))
    assert set(policies(mac)) == {sha(2)}


def test_a_time_that_makes_no_sense_is_refused(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    now = server.clock()
    rule = {"rule_type": "BINARY", "identifier": sha(1), "policy": BLOCK}
    late, early = (now + timedelta(hours=2)).isoformat(), (now + timedelta(hours=1)).isoformat()
    for times in (
        {"expires_at": (now - timedelta(hours=1)).isoformat()},
        {"starts_at": late, "expires_at": early},
    ):
        response = admin.post("/api/v1/rules", json={**rule, **times})
        assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    number = add_rule(admin, sha(1))
    response = admin.patch(f"/api/v1/rules/{number}", json={"policy": ALLOW, "starts_at": late})
    assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    waiting = add_rule(admin, sha(2), starts_at=late)
    change_rule(admin, waiting, ALLOW, starts_at=None)
    assert policies(mac) == {sha(1): BLOCK, sha(2): ALLOW}
    remove_rule(admin, add_rule(admin, sha(3), starts_at=late))
    server.clock.advance(hours=3)
    assert set(policies(mac)) == {sha(1), sha(2)}


def test_a_compiler_rule_that_a_higher_layer_hides_is_withdrawn(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    add_rule(admin, sha(1), "ALLOWLIST_COMPILER")
    mac.sync()
    mac.transitive.add(sha(77))
    add_rule(admin, sha(1), "NONE", layer="user:sim")
    assert mac.sync().kind == "CLEAN_ALL"
    assert clean_reason(admin, mac) == "compiler_withdrawn"
    assert mac.transitive == set()


def test_a_compiler_rule_withdrawn_behind_a_refused_sync_is_not_forgotten(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    rule = add_rule(admin, sha(1), "ALLOWLIST_COMPILER")
    mac.sync()
    execute(server.dsn, "update machine_sync set queued_clean = 'clean'")
    mac.post("preflight", mac.preflight_body())
    mac.post("ruledownload", {"machine_id": mac.machine_id})
    mac.post("postflight", mac.postflight_body("CLEAN", 77))
    remove_rule(admin, rule)
    assert mac.sync().kind == "CLEAN_ALL"


def test_the_row_of_a_machine_stays_small(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    give_tags = [tag(admin, f"tag {number}") for number in range(20)]
    mac.sync()
    for number, tag_id in enumerate(give_tags):
        give(admin, tag_id, mac)
        add_rule(admin, sha(number), layer=f"tag:tag {number}")
    mac.sync()
    mac.post("preflight", mac.preflight_body())
    assert value(server.dsn, "select pg_column_size(y.*) from machine_sync y") <= 300


def test_a_late_postflight_confirms_no_other_sync(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    """One rule each in two syncs: the first one's postflight comes again after the second one's last page."""
    mac.sync()
    add_rule(admin, sha(1))
    mac.sync()
    late = mac.postflight_body("NORMAL", 1)
    seq = value(server.dsn, "select acked_seq from machine_sync")
    add_rule(admin, sha(2))
    mac.post("preflight", mac.preflight_body())
    mac.post("ruledownload", {"machine_id": mac.machine_id})
    mac.post("postflight", late)
    assert value(server.dsn, "select coalesce(acked_seq, 0) from machine_sync") <= seq
    mac.sync()
    assert set(mac.rules) == {("BINARY", sha(1)), ("BINARY", sha(2))}


def test_a_layer_that_nothing_was_said_for_says_nothing(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    for layer in ("user:nobody", f"machine:{mac.machine_id}"):
        shown = admin.get("/api/v1/settings/layer", params={"layer": layer})
        assert plain(shown) == {"layer": layer, "values": {}, "locked": []}
    for layer in ("machine:unknown", "tag:unknown"):
        response = admin.get("/api/v1/settings/layer", params={"layer": layer})
        assert response.status_code == httpx.codes.NOT_FOUND
