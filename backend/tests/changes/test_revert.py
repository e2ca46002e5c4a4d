"""Changes are taken back by a change: with the content of before, or with every conflict named."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from santaserver.policy.lifelines import AGENTS
from tests.changes.helpers import details, newest, revert, reverted
from tests.conftest import ADMIN, add_user
from tests.support.postgres import fetch, value
from tests.support.rest_client import asked
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, change_rule, effective, give, policies, remove_rule, sha, tag

SETTINGS = "/api/v1/settings/layer"
MANY = 3000


def import_rules(admin: httpx.Client, lines: list[str], **more: object) -> int:
    """Import a CSV file; return the change's number."""
    content = "layer,rule_type,identifier,policy\n" + "\n".join(lines)
    body = {"format": "csv", "content": content, "dry_run": False, **more}
    response = admin.post("/api/v1/rules/import", json=body)
    assert response.status_code == httpx.codes.OK, response.text
    seq: int = response.json()["policy_seq"]
    return seq


def conflict(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the only conflict of a plan."""
    assert plan["conflicts_total"] == 1, plan
    (one,) = plan["conflicts"]
    assert isinstance(one, dict)
    return one


def test_a_removed_rule_comes_back_and_reaches_macs(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    rule = add_rule(admin, sha(1), custom_msg="no", comment="why")
    assert policies(mac) == {sha(1): "BLOCKLIST"}
    before = effective(admin)
    remove_rule(admin, rule)
    assert policies(mac) == {}
    removal = newest(admin)
    plan = revert(admin, removal, dry_run=True)
    assert (plan["applied"], plan["added"], plan["conflicts_total"]) == (False, 1, 0)
    assert newest(admin) == removal
    plan = revert(admin, removal, reason="mistake", policy_seq=plan["policy_seq"])
    assert (plan["applied"], plan["added"], plan["policy_seq"]) == (True, 1, removal + 1)
    assert effective(admin) == before
    assert policies(mac) == {sha(1): "BLOCKLIST"}
    (restored,) = admin.get("/api/v1/rules").json()["items"]
    assert (restored["custom_msg"], restored["comment"], restored["reason"]) == ("no", "why", "mistake")
    (entry,) = fetch(server.dsn, "select * from audit_log where action = 'change_reverted'")
    assert (entry["object_id"], entry["policy_seq"], entry["reason"]) == ("*", removal + 1, "mistake")


def test_the_log_shows_what_changed_by_whom_and_why(admin: httpx.Client) -> None:
    rule = add_rule(admin, sha(1), reason="first")
    change_rule(admin, rule, "ALLOWLIST", reason="second")
    seq = newest(admin)
    items = admin.get("/api/v1/changes").json()["items"]
    assert [item["reason"] for item in items[:2]] == ["second", "first"]
    assert {
        name: items[0][name] for name in ("seq", "kind", "actor_name", "added", "changed", "removed")
    } == {
        "seq": seq,
        "kind": "rule",
        "actor_name": ADMIN[0],
        "added": 0,
        "changed": 1,
        "removed": 0,
    }
    shown = details(admin, seq)
    (one,) = shown["rules"]
    assert (shown["rules_total"], one["layer"], one["identifier"]) == (1, "global", sha(1))
    assert (one["before"]["policy"], one["after"]["policy"]) == ("BLOCKLIST", "ALLOWLIST")
    revert(admin, seq)
    again = admin.get("/api/v1/changes").json()["items"][0]
    assert (again["kind"], again["reverts"], again["changed"]) == ("revert", seq, 1)


def test_the_log_is_filtered_and_comes_in_pages(admin: httpx.Client) -> None:
    for number in range(5):
        add_rule(admin, sha(number))
    admin.patch(SETTINGS, params={"layer": "global"}, json={"values": {"batch_size": 7}})
    everything = admin.get("/api/v1/changes").json()["items"]
    found: list[dict[str, Any]] = []
    cursor = None
    while cursor is not None or not found:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = admin.get("/api/v1/changes", params=params).json()
        found += page["items"]
        cursor = page["next_cursor"]
    assert found == everything

    def numbers(**params: str) -> list[int]:
        return [item["seq"] for item in admin.get("/api/v1/changes", params=params).json()["items"]]

    assert numbers(kind="settings") == [everything[0]["seq"]]
    assert numbers(actor="nobody") == []
    assert numbers(actor=ADMIN[0])
    assert numbers(since=everything[1]["at"]) == [item["seq"] for item in everything[:2]]
    assert numbers(until=everything[1]["at"]) == [item["seq"] for item in everything[2:]]
    assert numbers(actor_kind="schedule") == []
    assert set(numbers(actor_kind="user")) == {
        item["seq"] for item in everything if item["actor_kind"] == "user"
    }


def test_the_log_is_searched(admin: httpx.Client) -> None:
    rule = add_rule(admin, sha(1), reason="ticket 100%_done")
    single = newest(admin)
    change_rule(admin, rule, "ALLOWLIST")
    changed = newest(admin)
    several = import_rules(admin, [f"global,BINARY,{sha(number)},BLOCKLIST" for number in (1, 2)])
    remove_rule(admin, rule)
    removed = newest(admin)

    def found(q: str) -> list[int]:
        return [item["seq"] for item in admin.get("/api/v1/changes", params={"q": q}).json()["items"]]

    assert found("100%_") == [single]
    assert found("100_") == []
    assert found(sha(1)) == [removed, several, changed, single]
    assert found(sha(1)[:40].upper()) == [removed, changed, single]
    assert found(sha(2)) == [several]
    assert found(ADMIN[0][1:])[0] == removed
    item = admin.get("/api/v1/changes").json()["items"][0]
    assert (item["layer"], item["rule_type"], item["identifier"]) == ("global", "BINARY", sha(1))


def test_rules_of_a_change_come_in_pages(admin: httpx.Client) -> None:
    seq = import_rules(admin, [f"global,BINARY,{sha(number)},BLOCKLIST" for number in range(5)])
    first = details(admin, seq, limit=3)
    second = details(admin, seq, limit=3, cursor=first["next_cursor"])
    assert (first["rules_total"], second["rules_total"], second["next_cursor"]) == (5, 5, None)
    assert [rule["identifier"] for rule in first["rules"] + second["rules"]] == [sha(n) for n in range(5)]


def test_an_import_of_many_rules_is_taken_back_and_again(admin: httpx.Client, mac: SimulatedMac) -> None:
    for number in (1, 2, 3):
        add_rule(admin, sha(number))
    lines = [f"global,BINARY,{sha(1)},ALLOWLIST", f"global,BINARY,{sha(3)},BLOCKLIST"]
    lines += [f"global,BINARY,{sha(number)},BLOCKLIST" for number in range(10, 10 + MANY)]
    seq = import_rules(admin, lines, remove_missing=True)
    with_import = policies(mac)
    plan = revert(admin, seq)
    assert (plan["added"], plan["changed"], plan["removed"], plan["unchanged"]) == (1, 1, MANY, 0)
    assert policies(mac) == {sha(number): "BLOCKLIST" for number in (1, 2, 3)}
    plan = revert(admin, plan["policy_seq"])
    assert (plan["added"], plan["changed"], plan["removed"]) == (MANY, 1, 1)
    assert policies(mac) == with_import


def test_what_has_changed_since_is_named_and_nothing_is_done(admin: httpx.Client) -> None:
    kept, other = add_rule(admin, sha(1)), add_rule(admin, sha(2))
    seq = import_rules(admin, [f"global,BINARY,{sha(number)},ALLOWLIST" for number in (1, 2)])
    change_rule(admin, other, "SILENT_BLOCKLIST")
    later = newest(admin)
    found = conflict(revert(admin, seq, dry_run=True))
    assert (found["identifier"], found["why"], found["seq"]) == (sha(2), "changed", later)
    assert found["actor_name"] == ADMIN[0]
    refused = reverted(admin, seq)
    assert refused.status_code == httpx.codes.CONFLICT
    assert f"change {later} of {ADMIN[0]}" in refused.json()["detail"]
    assert newest(admin) == later
    plan = revert(admin, seq, skip_conflicts=True)
    assert (plan["changed"], plan["conflicts_total"]) == (1, 1)
    assert admin.get(f"/api/v1/rules/{kept}").json()["policy"] == "BLOCKLIST"
    assert admin.get(f"/api/v1/rules/{other}").json()["policy"] == "SILENT_BLOCKLIST"


def test_a_target_that_has_a_new_rule_and_a_layer_that_is_gone_are_conflicts(admin: httpx.Client) -> None:
    rule = add_rule(admin, sha(1))
    remove_rule(admin, rule)
    seq = newest(admin)
    add_rule(admin, sha(1), "ALLOWLIST")
    assert conflict(revert(admin, seq, dry_run=True))["why"] == "changed"
    lab = tag(admin, "lab")
    rule = add_rule(admin, sha(2), layer="tag:lab")
    change_rule(admin, rule, "ALLOWLIST")
    seq = newest(admin)
    admin.delete(f"/api/v1/tags/{lab}").raise_for_status()
    found = conflict(revert(admin, seq, dry_run=True))
    assert (found["why"], found["layer"]) == ("layer_gone", "tag:lab")


def test_what_is_as_before_already_takes_no_number(admin: httpx.Client) -> None:
    rule = add_rule(admin, sha(1))
    change_rule(admin, rule, "ALLOWLIST")
    seq = newest(admin)
    change_rule(admin, rule, "BLOCKLIST")
    last = newest(admin)
    plan = revert(admin, seq)
    assert (plan["applied"], plan["unchanged"], plan["policy_seq"]) == (False, 1, last)
    assert newest(admin) == last


def test_rules_whose_time_has_passed_do_not_come_back(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    soon = (server.clock() + timedelta(minutes=5)).isoformat()
    later = (server.clock() + timedelta(hours=5)).isoformat()
    for number, until in ((1, soon), (2, later)):
        remove_rule(admin, add_rule(admin, sha(number), expires_at=until))
    first, second = newest(admin) - 2, newest(admin)
    server.clock.advance(minutes=10)
    assert conflict(revert(admin, first, dry_run=True))["why"] == "expired"
    assert revert(admin, second)["added"] == 1
    (restored,) = admin.get("/api/v1/rules").json()["items"]
    assert restored["expires_at"].startswith(later[:19])
    assert policies(mac) == {sha(2): "BLOCKLIST"}
    server.clock.advance(hours=6)
    assert policies(mac) == {}


def test_rules_that_wait_for_their_start_wait_again(server: RunningServer, admin: httpx.Client) -> None:
    later = (server.clock() + timedelta(hours=1)).isoformat()
    rule = add_rule(admin, sha(1), starts_at=later)
    remove_rule(admin, rule)
    seq = newest(admin)
    assert revert(admin, seq)["added"] == 1
    (restored,) = admin.get("/api/v1/rules").json()["items"]
    assert restored["state"] == "waiting"
    again = newest(admin)
    assert revert(admin, again)["removed"] == 1
    assert admin.get("/api/v1/rules").json()["items"] == []
    server.clock.advance(hours=2)
    assert conflict(revert(admin, seq, dry_run=True))["why"] == "started"


def test_settings_come_back_with_their_locks(admin: httpx.Client, mac: SimulatedMac) -> None:
    admin.patch(SETTINGS, params={"layer": "global"}, json={"values": {"batch_size": 11}}).raise_for_status()
    patch = {"values": {"batch_size": 12, "enable_bundles": False}, "locked": ["batch_size"]}
    before = admin.get(SETTINGS, params={"layer": "global"}).json()
    admin.patch(SETTINGS, params={"layer": "global"}, json=patch).raise_for_status()
    changed = admin.get(SETTINGS, params={"layer": "global"}).json()
    seq = newest(admin)
    shown = details(admin, seq)
    assert {one["key"] for one in shown["setting_differences"]} == {"batch_size", "enable_bundles"}
    mac.sync()
    assert mac.settings["batch_size"] == 12
    plan = revert(admin, seq, reason="too many")
    assert (plan["applied"], plan["settings"]) == (True, 2)
    assert admin.get(SETTINGS, params={"layer": "global"}).json() == before
    mac.sync()
    assert mac.settings["batch_size"] == 11
    revert(admin, newest(admin))
    assert admin.get(SETTINGS, params={"layer": "global"}).json() == changed


def test_a_setting_that_has_changed_since_is_a_conflict(admin: httpx.Client) -> None:
    for size in (11, 12, 13):
        body = {"values": {"batch_size": size}}
        admin.patch(SETTINGS, params={"layer": "global"}, json=body).raise_for_status()
    last = newest(admin)
    found = conflict(revert(admin, last - 1, dry_run=True))
    assert (found["identifier"], found["why"], found["seq"]) == ("batch_size", "changed", last)
    assert reverted(admin, last - 1).status_code == httpx.codes.CONFLICT
    assert not revert(admin, last - 1, skip_conflicts=True)["applied"]
    assert newest(admin) == last


def test_the_lock_out_check_judges_what_comes_back(server: RunningServer, admin: httpx.Client) -> None:
    body = {"rule_type": "TEAMID", "identifier": AGENTS[0].team_id, "policy": "BLOCKLIST"}
    rule = admin.post("/api/v1/rules", json={**body, "override_guard": True}).json()["id"]
    remove_rule(admin, rule)
    seq = newest(admin)
    assert revert(admin, seq, dry_run=True)["refused"]
    refused = reverted(admin, seq)
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert newest(admin) == seq
    assert revert(admin, seq, override_guard=True)["added"] == 1
    assert value(
        server.dsn, "select after->>'guard_overridden' from audit_log where action = 'change_reverted'"
    )


def test_loosening_is_asked_about_with_the_number_of_macs(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    add_rule(admin, sha(1))
    seq = newest(admin)
    admin.careful = True  # type: ignore[attr-defined]
    answer = reverted(admin, seq)
    question = asked(answer)
    assert question is not None, answer.text
    assert (question["machines"], question["reasons"][0]["kind"]) == (1, "loosens")
    assert newest(admin) == seq
    body = {"dry_run": False}
    path = f"/api/v1/changes/{seq}/revert"
    done = admin.post(path, params={"confirm": question["token"]}, json=body)
    assert done.json()["removed"] == 1


def test_of_two_who_take_back_the_same_change_one_is_told(server: RunningServer, admin: httpx.Client) -> None:
    import_rules(admin, [f"global,BINARY,{sha(number)},ALLOWLIST" for number in range(20)])
    seq = newest(admin)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: reverted(admin, seq, policy_seq=seq), range(2)))
    assert sorted(answer.status_code for answer in answers) == [httpx.codes.OK, httpx.codes.CONFLICT]
    assert value(server.dsn, "select count(*) from policy_change where kind = 'revert'") == 1


def test_a_plan_that_is_out_of_date_is_not_applied(admin: httpx.Client) -> None:
    add_rule(admin, sha(1), "ALLOWLIST")
    seq = newest(admin)
    add_rule(admin, sha(2))
    assert reverted(admin, seq, policy_seq=seq).status_code == httpx.codes.CONFLICT


def test_what_is_no_rule_or_setting_says_why_it_stays(admin: httpx.Client) -> None:
    tag(admin, "lab")
    shown = admin.get("/api/v1/changes").json()["items"][0]
    assert (shown["kind"], shown["revertible"]) == ("tag", False)
    refused = reverted(admin, shown["seq"])
    assert refused.status_code == httpx.codes.CONFLICT
    assert shown["why_not"] in refused.json()["detail"]
    assert reverted(admin, 10**6).status_code == httpx.codes.NOT_FOUND


@pytest.fixture
def labs(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> int:
    """A tag with a Mac and an operator `lena` of it; return the tag."""
    mac.sync()
    lab = tag(admin, "lab")
    give(admin, lab, mac)
    add_user(server.dsn, "lena", "operator", lab)
    return lab


def test_someone_limited_to_tags_sees_and_takes_back_only_theirs(
    server: RunningServer, admin: httpx.Client, labs: int
) -> None:
    assert labs
    add_rule(admin, sha(1))
    elsewhere = newest(admin)
    add_rule(admin, sha(2), layer="tag:lab")
    own = newest(admin)
    both = import_rules(admin, [f"{layer},BINARY,{sha(3)},BLOCKLIST" for layer in ("global", "tag:lab")])
    body = {"values": {"batch_size": 7}}
    admin.patch(SETTINGS, params={"layer": "tag:lab"}, json=body).raise_for_status()
    settings = newest(admin)
    with server.client() as lena:
        lena.post("/api/v1/auth/login", json={"username": "lena", "password": ADMIN[1]}).raise_for_status()
        items = lena.get("/api/v1/changes").json()["items"]
        assert [item["seq"] for item in items] == [settings, both, own]
        assert [(item["added"], item["settings"]) for item in items] == [(0, 1), (1, 0), (1, 0)]
        assert lena.get(f"/api/v1/changes/{elsewhere}").status_code == httpx.codes.NOT_FOUND
        assert [rule["layer"] for rule in details(lena, both)["rules"]] == ["tag:lab"]
        for dry_run in (True, False):
            assert reverted(lena, elsewhere, dry_run=dry_run).status_code == httpx.codes.NOT_FOUND
            assert reverted(lena, both, dry_run=dry_run).status_code == httpx.codes.FORBIDDEN
        assert newest(admin) == settings
        assert revert(lena, own)["removed"] == 1
        assert revert(lena, settings)["settings"] == 1


def test_settings_need_the_permission_for_settings(server: RunningServer, admin: httpx.Client) -> None:
    body = {"values": {"batch_size": 7}}
    admin.patch(SETTINGS, params={"layer": "global"}, json=body).raise_for_status()
    seq = newest(admin)
    add_user(server.dsn, "arno", "approver")
    with server.client() as arno:
        arno.post("/api/v1/auth/login", json={"username": "arno", "password": ADMIN[1]}).raise_for_status()
        assert details(arno, seq)["setting_differences"]
        assert reverted(arno, seq).status_code == httpx.codes.FORBIDDEN
