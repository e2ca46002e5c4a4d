"""The four stages over HTTP: a simulated Mac against the real application and PostgreSQL."""

import httpx
import pytest

from santaserver.sync import paging
from santaserver.sync.paging import tombstone
from tests.support.santa_client import CutError, SimulatedMac, SyncError
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, change_rule, clean_reason, effective, machine, remove_rule, sha


def test_a_new_mac_gets_every_rule_by_a_clean_sync(admin: httpx.Client, mac: SimulatedMac) -> None:
    add_rule(admin, sha(1))
    add_rule(admin, "ABCDEFGHIJ", "ALLOWLIST", rule_type="TEAMID", custom_msg="hello")
    result = mac.sync()
    assert (result.kind, result.received) == ("CLEAN", 2)
    assert mac.rules == effective(admin)
    assert machine(admin, mac)["sync_state"] == "in_sync"


def test_later_syncs_bring_only_what_changed(admin: httpx.Client, mac: SimulatedMac) -> None:
    first, second = add_rule(admin, sha(1)), add_rule(admin, sha(2))
    mac.sync()
    change_rule(admin, first, "ALLOWLIST")
    remove_rule(admin, second)
    add_rule(admin, sha(3))
    result = mac.sync()
    assert (result.kind, result.received) == ("NORMAL", 3)
    assert mac.rules == effective(admin)
    assert mac.sync().received == 0


def test_a_changed_message_is_delivered_although_the_hash_does_not_cover_it(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    rule = add_rule(admin, sha(1))
    mac.sync()
    change_rule(admin, rule, "BLOCKLIST", custom_msg="new text")
    mac.sync()
    assert mac.rules == effective(admin)


def test_rules_count_as_delivered_at_postflight_only(admin: httpx.Client, mac: SimulatedMac) -> None:
    rule = add_rule(admin, sha(1))
    with pytest.raises(CutError):
        mac.sync(cut_before="postflight")
    assert admin.get(f"/api/v1/rules/{rule}").json()["machines_acked"] == 0
    mac.sync()
    assert admin.get(f"/api/v1/rules/{rule}").json()["machines_acked"] == 1


def test_a_cut_download_changes_nothing_and_is_made_up_for(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    add_rule(admin, sha(1))
    with pytest.raises(CutError):
        mac.sync(lose_answer_of="ruledownload")
    assert ("BINARY", sha(1)) not in mac.rules
    result = mac.sync()
    assert result.kind == "NORMAL"
    assert mac.rules == effective(admin)


def test_a_lost_postflight_ends_in_a_clean_sync(admin: httpx.Client, mac: SimulatedMac) -> None:
    add_rule(admin, sha(1))
    mac.sync()
    add_rule(admin, sha(2))
    with pytest.raises(CutError):
        mac.sync(cut_before="postflight")
    assert mac.sync().kind == "CLEAN"
    assert clean_reason(admin, mac) == "lost_postflight"
    assert mac.rules == effective(admin)


def test_agents_without_a_hash_recover_from_a_lost_postflight_without_a_clean_sync(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.reports_hash = False
    mac.santa_version = "2025.5.1"
    first = add_rule(admin, sha(1))
    mac.sync()
    add_rule(admin, sha(2))
    with pytest.raises(CutError):
        mac.sync(cut_before="postflight")
    remove_rule(admin, first)
    assert mac.sync().kind == "NORMAL"
    assert mac.rules == effective(admin)


def test_agents_without_a_hash_are_cleaned_when_their_counts_fit_no_state(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.reports_hash = False
    add_rule(admin, sha(1))
    mac.sync()
    mac.rules.clear()
    assert mac.sync().kind == "CLEAN"
    assert clean_reason(admin, mac) == "rule_counts_changed"
    assert mac.rules == effective(admin)


def test_transitive_rules_are_not_taken_for_ours(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.reports_hash = False
    add_rule(admin, sha(1))
    mac.sync()
    mac.transitive.add(sha(77))
    assert mac.sync().kind == "NORMAL"


def test_an_unconfirmed_clean_sync_is_repeated(admin: httpx.Client, mac: SimulatedMac) -> None:
    add_rule(admin, sha(1))
    with pytest.raises(CutError):
        mac.sync(lose_answer_of="preflight")
    mac.wants_clean = False
    assert mac.sync().kind == "CLEAN"
    assert mac.sync().kind == "NORMAL"


def test_a_client_that_asks_for_a_clean_sync_gets_one(admin: httpx.Client, mac: SimulatedMac) -> None:
    add_rule(admin, sha(1))
    mac.sync()
    mac.wipe()
    assert mac.sync().kind == "CLEAN"
    assert clean_reason(admin, mac) == "client_requested"
    assert mac.rules == effective(admin)


def test_an_empty_clean_sync_sends_a_tombstone(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.rules[("BINARY", sha(9))] = ("BLOCKLIST", "", "", "")
    result = mac.sync()
    assert (result.kind, result.received) == ("CLEAN", 1)
    assert mac.rules == {} == effective(admin)
    page = mac.post("ruledownload", {"machine_id": mac.machine_id})
    assert page == {"rules": []}
    assert b'"REMOVE"' in tombstone(0)


def test_local_tampering_is_found_and_repaired(admin: httpx.Client, mac: SimulatedMac) -> None:
    add_rule(admin, sha(1))
    mac.sync()
    mac.rules[("BINARY", sha(1))] = ("ALLOWLIST", "", "", "")
    assert mac.sync().kind == "CLEAN"
    assert clean_reason(admin, mac) == "rules_hash_changed"
    assert mac.rules == effective(admin)


def test_rules_that_keep_changing_on_the_mac_do_not_cause_clean_syncs_for_ever(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    add_rule(admin, sha(1))
    mac.sync()
    kinds = []
    for number in range(5):
        mac.rules[("BINARY", sha(100 + number))] = ("ALLOWLIST", "", "", "")
        kinds.append(mac.sync().kind)
    assert kinds == ["CLEAN", "CLEAN", "NORMAL", "NORMAL", "NORMAL"]
    assert machine(admin, mac)["sync_state"] == "drifted"
    wanted = effective(admin)
    server.clock.advance(hours=25)
    assert mac.sync().kind == "CLEAN"
    assert mac.rules == wanted


def test_withdrawing_a_compiler_rule_removes_what_it_let_run(admin: httpx.Client, mac: SimulatedMac) -> None:
    rule = add_rule(admin, sha(1), "ALLOWLIST_COMPILER")
    mac.sync()
    mac.transitive.add(sha(50))
    change_rule(admin, rule, "ALLOWLIST")
    assert mac.sync().kind == "CLEAN_ALL"
    assert clean_reason(admin, mac) == "compiler_withdrawn"
    assert mac.transitive == set()
    assert mac.sync().kind == "NORMAL"


def test_an_ordered_clean_sync_happens_once(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    response = admin.post(f"/api/v1/machines/{mac.machine_id}/clean-sync", json={"kind": "clean_all"})
    assert response.status_code == httpx.codes.ACCEPTED
    assert mac.sync().kind == "CLEAN_ALL"
    assert clean_reason(admin, mac) == "operator"
    assert mac.sync().kind == "NORMAL"


def test_two_macs_with_one_id_are_noticed(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    add_rule(admin, sha(1))
    mac.sync()
    twin = SimulatedMac(server.url, machine_id=mac.machine_id, serial="C02OTHER", wants_clean=False)
    assert twin.sync().kind == "CLEAN"
    assert clean_reason(admin, mac) == "identity_conflict"
    assert machine(admin, mac)["sync_state"] == "drifted"
    assert twin.rules == effective(admin)
    twin.close()


@pytest.mark.parametrize("stage", ["preflight", "ruledownload", "postflight"])
def test_repeated_posts_change_nothing(admin: httpx.Client, mac: SimulatedMac, stage: str) -> None:
    add_rule(admin, sha(1))
    mac.sync(repeat=stage)
    assert mac.rules == effective(admin)
    assert machine(admin, mac)["sync_state"] == "in_sync"
    assert mac.sync().kind == "NORMAL"


def test_pages_are_cut_from_a_snapshot(
    admin: httpx.Client, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_SIZE", 2)
    rules = [add_rule(admin, sha(number)) for number in range(5)]
    mac.post("preflight", mac.preflight_body())
    first = mac.post("ruledownload", {})
    assert len(first["rules"]) == 2
    remove_rule(admin, rules[4])
    add_rule(admin, sha(3_000))
    second = mac.post("ruledownload", {"cursor": first["cursor"]})
    assert second == mac.post("ruledownload", {"cursor": first["cursor"]})
    third = mac.post("ruledownload", {"cursor": second["cursor"]})
    assert "cursor" not in third
    sent = [rule["identifier"] for page in (first, second, third) for rule in page["rules"]]
    assert sent == [sha(number) for number in range(5)]


def test_a_download_that_ended_too_early_is_not_confirmed(
    admin: httpx.Client, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_SIZE", 2)
    for number in range(5):
        add_rule(admin, sha(number))
    mac.sync(truncate_page=1)
    assert len(mac.rules) == 2
    assert machine(admin, mac)["sync_state"] == "never"
    assert mac.sync().kind == "CLEAN"
    assert mac.rules == effective(admin)


def test_a_foreign_or_old_cursor_ends_the_sync(admin: httpx.Client, mac: SimulatedMac) -> None:
    add_rule(admin, sha(1))
    mac.sync()
    with pytest.raises(SyncError) as error:
        mac.post("ruledownload", {"cursor": "opaque=="})
    assert error.value.status == httpx.codes.CONFLICT


def test_a_newer_santa_gets_what_the_old_one_could_not_take(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.santa_version = "2025.5.1"
    add_rule(admin, sha(1), "SILENT_GUI_BLOCKLIST")
    add_rule(admin, sha(2), "CEL", cel_expr="args.size() > 1")
    mac.sync()
    assert mac.rules == {("BINARY", sha(1)): ("SILENT_BLOCKLIST", "", "", "")}
    mac.santa_version = "2026.7.1"
    result = mac.sync()
    assert (result.kind, result.received) == ("NORMAL", 2)
    assert mac.rules == effective(admin)
    mac.santa_version = "2025.5.1"
    mac.sync()
    assert set(mac.rules) == {("BINARY", sha(1))}


def test_a_download_without_a_preflight_is_served_but_not_confirmed(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    add_rule(admin, sha(1))
    page = mac.post("ruledownload", {"machine_id": mac.machine_id})
    assert [rule["identifier"] for rule in page["rules"] if rule["policy"] != "REMOVE"] == [sha(1)]
    mac.apply("NORMAL", page["rules"])
    assert machine(admin, mac)["sync_state"] == "pending"
    mac.sync()
    assert mac.rules == effective(admin)
    assert machine(admin, mac)["sync_state"] == "in_sync"


def test_a_download_without_a_preflight_confirms_no_layers_that_came_meanwhile(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    """A late postflight may end the sync that a preflight began; then a layer comes before the download."""
    add_rule(admin, sha(1))
    mac.sync()
    add_rule(admin, sha(2), layer=f"user:{mac.primary_user}")
    page = mac.post("ruledownload", {"machine_id": mac.machine_id})
    mac.apply("NORMAL", page.get("rules", []))
    mac.post("postflight", mac.postflight_body("NORMAL", len(page.get("rules", []))))
    assert set(mac.rules) == {("BINARY", sha(1))}
    assert machine(admin, mac)["sync_state"] == "pending"
    mac.sync()
    assert set(mac.rules) == {("BINARY", sha(1)), ("BINARY", sha(2))}
    assert machine(admin, mac)["sync_state"] == "in_sync"


def test_a_download_without_a_preflight_is_refused_to_a_mac_in_an_unknown_state(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    add_rule(admin, sha(1))
    mac.sync()
    add_rule(admin, sha(2))
    mac.post("preflight", mac.preflight_body())
    mac.post("ruledownload", {"machine_id": mac.machine_id})
    mac.post("postflight", mac.postflight_body("NORMAL", 77))
    with pytest.raises(SyncError) as error:
        mac.post("ruledownload", {"machine_id": mac.machine_id})
    assert error.value.status == httpx.codes.CONFLICT
    assert mac.sync().kind == "CLEAN"
    assert mac.rules == effective(admin)


def test_settings_reach_the_mac_complete(admin: httpx.Client, mac: SimulatedMac) -> None:
    before = mac.sync().settings
    wanted = {**admin.get("/api/v1/settings").json(), "client_mode": "LOCKDOWN", "full_sync_interval": 120}
    assert admin.patch("/api/v1/settings", json=wanted).json() == wanted
    after = mac.sync().settings
    assert after == {**before, "client_mode": "LOCKDOWN", "full_sync_interval": 120}


def test_an_unconfirmed_state_between_two_santa_versions_is_not_forgotten(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    """Counts cannot tell the two policies apart, so only the remembered possible state helps."""
    mac.reports_hash = False
    mac.santa_version = "2025.5.1"
    add_rule(admin, sha(1), "SILENT_GUI_BLOCKLIST")
    mac.sync()
    mac.santa_version = "2026.7.1"
    with pytest.raises(CutError):
        mac.sync(cut_before="postflight")
    mac.santa_version = "2025.5.1"
    assert mac.sync().kind == "NORMAL"
    assert mac.rules == {("BINARY", sha(1)): ("SILENT_BLOCKLIST", "", "", "")}
