"""A Mac's own report gives it no tag, and takes none from it, that would block what the Mac needs."""

import threading
from typing import Any

import httpx
import pytest

from santaserver.policy.guarding import LOCK_KEY
from tests.rules.test_guard_results import OVERRIDE, TEAM, VPN, essential, mode, refused, told
from tests.support.postgres import held, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, give, machine, policies, remove_rule, sha, tag

LAB = "hostname.startsWith('lab-')"
ALLOW, BLOCK = "ALLOWLIST", "BLOCKLIST"
WAITING = "select count(*) from pg_stat_activity where wait_event = 'advisory'"
STORED = "select count(*) from withheld_layer"
SETTLED = """select membership_fingerprint is not null
  and membership_fingerprint <> decode(repeat('00', 16), 'hex') from machine_sync"""


def notice(admin: httpx.Client, mac: SimulatedMac) -> str:
    """Return what the machine's page says about withheld tags."""
    shown = [one for one in machine(admin, mac)["notices"] if one["kind"] == "tags_withheld"]
    return str(shown[0]["text"]) if shown else ""


def number_withheld(admin: httpx.Client) -> int:
    number: int = admin.get("/api/v1/overview").json()["machines"]["withheld"]
    return number


def tags_of(admin: httpx.Client, mac: SimulatedMac) -> list[str]:
    listed: list[dict[str, Any]] = admin.get(f"/api/v1/machines/{mac.machine_id}/tags").json()
    return [one["name"] for one in listed]


def metric(server: RunningServer, change: str) -> int:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    name = f'santa_backend_tags_withheld_total{{change="{change}"}} '
    return next(int(line.removeprefix(name)) for line in lines if line.startswith(name))


def lab_and_quiet(admin: httpx.Client) -> None:
    """Two tags that are harmless each: Lockdown with the VPN allowed, and a tag that masks this rule."""
    essential(admin)
    add_rule(admin, VPN, ALLOW, rule_type="SIGNINGID")
    lab, quiet = tag(admin, "lab", predicate=LAB), tag(admin, "quiet", groups=["quiet"])
    assert lab != quiet
    assert told(mode(admin, "tag:lab")) == []
    add_rule(admin, VPN, "NONE", rule_type="SIGNINGID", layer="tag:quiet")


def test_a_tag_that_would_block_an_essential_is_withheld_until_it_does_not(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    lab_and_quiet(admin)
    mac.groups = ["quiet"]
    mac.sync()
    before = metric(server, "gained")
    mac.hostname = "lab-1"
    for _ in range(3):  # each preflight judges again
        assert mac.sync().settings["client_mode"] == "MONITOR"
    assert tags_of(admin, mac) == ["quiet"]
    said = notice(admin, mac)
    assert "tag:lab is withheld from this machine" in said
    assert (
        "GlobalProtect (VPN) would be blocked: no rule allows it, and the mode is LOCKDOWN in tag:lab" in said
    )
    assert number_withheld(admin) == 1
    assert metric(server, "gained") - before == 1
    add_rule(admin, TEAM, ALLOW, rule_type="TEAMID")
    assert mac.sync().settings["client_mode"] == "LOCKDOWN"
    assert tags_of(admin, mac) == ["quiet", "lab"]
    assert (notice(admin, mac), number_withheld(admin), value(server.dsn, STORED)) == ("", 0, 0)
    mac.sync()
    assert value(server.dsn, SETTLED)


def test_only_the_tag_at_fault_is_withheld(admin: httpx.Client, mac: SimulatedMac) -> None:
    lab_and_quiet(admin)
    tag(admin, "harmless", predicate=LAB)
    add_rule(admin, sha(1), layer="tag:harmless")
    mac.groups, mac.hostname = ["quiet"], "lab-1"
    assert policies(mac) == {sha(1): BLOCK, VPN: ALLOW}
    assert tags_of(admin, mac) == ["harmless", "lab"]
    assert mac.settings["client_mode"] == "LOCKDOWN"
    assert "tag:quiet is withheld" in notice(admin, mac)


def test_what_would_take_the_allowing_tag_away_is_kept(admin: httpx.Client, mac: SimulatedMac) -> None:
    essential(admin)
    lab = tag(admin, "lab", predicate=LAB)
    everywhere = tag(admin, "everywhere", groups=["staff"])
    assert lab != everywhere
    add_rule(admin, VPN, ALLOW, rule_type="SIGNINGID", layer="tag:lab")
    add_rule(admin, VPN, ALLOW, rule_type="SIGNINGID", layer="tag:everywhere")
    mode(admin, "tag:everywhere").raise_for_status()
    mac.hostname, mac.groups = "lab-1", ["staff"]
    assert policies(mac) == {VPN: ALLOW}
    # The rule of one tag is enough on this Mac, so the other one's can go.
    rule = next(
        one["id"] for one in admin.get("/api/v1/rules", params={"layer": "tag:everywhere"}).json()["items"]
    )
    remove_rule(admin, rule)
    mac.hostname = "office-1"
    assert policies(mac) == {VPN: ALLOW}
    assert "tag:lab is kept on this machine" in notice(admin, mac)
    add_rule(admin, TEAM, ALLOW, rule_type="TEAMID")
    assert policies(mac) == {TEAM: ALLOW}
    assert tags_of(admin, mac) == ["everywhere"]
    assert notice(admin, mac) == ""


@pytest.mark.parametrize("how", ["rule", "mode"])
def test_what_was_saved_against_the_advice_is_not_withheld(
    admin: httpx.Client, mac: SimulatedMac, how: str
) -> None:
    mac.sync()
    essential(admin)
    tag(admin, "lab", predicate=LAB)
    if how == "rule":
        body = {"rule_type": "SIGNINGID", "identifier": VPN, "policy": BLOCK, "layer": "tag:lab"}
        refused(admin.post("/api/v1/rules", json=body))
        admin.post("/api/v1/rules", json=body | {"override_guard": True}).raise_for_status()
    else:
        refused(mode(admin, "tag:lab"))
        lockdown = {"values": {"client_mode": "LOCKDOWN"}, "locked": []}
        told(
            admin.put(
                "/api/v1/settings/layer?layer=tag:lab", json=lockdown, params={"layer": "tag:lab", **OVERRIDE}
            )
        )
    mac.hostname = "lab-1"
    mac.sync()
    assert tags_of(admin, mac) == ["lab"]
    assert notice(admin, mac) == ""


def test_a_definition_saved_against_the_advice_is_not_withheld(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    lab_and_quiet(admin)
    mac.groups, mac.hostname = ["quiet"], "lab-1"
    mac.sync()
    (lab,) = (one for one in admin.get("/api/v1/tags").json() if one["name"] == "lab")
    names = ("name", "description", "predicate", "groups", "enrollments")
    known = {name: lab[name] for name in names}
    assert tags_of(admin, mac) == ["lab"]
    # The tag at fault is `quiet`: it masks what lets the VPN run in Lockdown.
    (quiet,) = (one for one in admin.get("/api/v1/tags").json() if one["name"] == "quiet")
    changed = {**known, **{name: quiet[name] for name in names}, "predicate": LAB}
    assert "GlobalProtect (VPN)" in refused(admin.put(f"/api/v1/tags/{quiet['id']}", json=changed))
    told(admin.put(f"/api/v1/tags/{quiet['id']}", json=changed, params=OVERRIDE))
    mac.sync()
    assert tags_of(admin, mac) == ["quiet", "lab"]
    assert notice(admin, mac) == ""


def test_a_tag_assigned_manually_is_not_withheld(admin: httpx.Client, mac: SimulatedMac) -> None:
    lab_and_quiet(admin)
    mac.groups, mac.hostname = ["quiet"], "lab-1"
    mac.sync()
    assert tags_of(admin, mac) == ["lab"]
    (quiet,) = (one["id"] for one in admin.get("/api/v1/tags").json() if one["name"] == "quiet")
    path = f"/api/v1/tags/{quiet}/members/{mac.machine_id}"
    refused(admin.put(path))
    assert admin.put(path, params=OVERRIDE).status_code == httpx.codes.NO_CONTENT
    mac.sync()
    assert tags_of(admin, mac) == ["quiet", "lab"]
    assert notice(admin, mac) == ""
    give(admin, quiet, mac, "DELETE")
    mac.sync()
    assert tags_of(admin, mac) == ["quiet", "lab"]  # its report says so too, and what it had stays


def test_an_essential_declared_later_counts_from_then_on(admin: httpx.Client, mac: SimulatedMac) -> None:
    tag(admin, "lab", predicate=LAB)
    add_rule(admin, VPN, BLOCK, rule_type="SIGNINGID", layer="tag:lab")
    essential(admin)
    mac.hostname = "lab-1"
    assert policies(mac) == {}
    assert f"the SIGNINGID rule {VPN} (BLOCKLIST) in tag:lab wins" in notice(admin, mac)


def test_the_layer_of_another_user_is_withheld(admin: httpx.Client, mac: SimulatedMac) -> None:
    lab_and_quiet(admin)
    add_rule(admin, VPN, "NONE", rule_type="SIGNINGID", layer="user:alice")
    mac.hostname = "lab-1"
    assert policies(mac) == {VPN: ALLOW}
    mac.primary_user = "Alice"
    assert policies(mac) == {VPN: ALLOW}
    assert "user:alice is withheld from this machine" in notice(admin, mac)
    mac.primary_user = "bob"
    mac.sync()
    assert notice(admin, mac) == ""


def test_administrators_are_warned_of_tags_that_reports_may_give(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    essential(admin)
    add_rule(admin, VPN, ALLOW, rule_type="SIGNINGID")
    tag(admin, "lab", predicate=LAB)
    tag(admin, "quiet", groups=["quiet"])
    tag(admin, "manual")
    assert told(mode(admin, "tag:lab")) == []
    mac.hostname = "lab-1"
    mac.sync()
    mask = {"rule_type": "SIGNINGID", "identifier": VPN, "policy": "NONE"}
    (warning,) = told(admin.post("/api/v1/rules", json=mask | {"layer": "tag:quiet"}))
    assert "GlobalProtect (VPN) would be blocked on Macs that get tag:quiet by their own report" in warning
    assert "the mode is LOCKDOWN in tag:lab" in warning
    assert told(admin.post("/api/v1/rules", json=mask | {"layer": "tag:manual"})) == []


def test_a_retired_mac_leaves_no_alert(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> None:
    lab_and_quiet(admin)
    mac.groups, mac.hostname = ["quiet"], "lab-1"
    mac.sync()
    assert number_withheld(admin) == 1
    admin.post(f"/api/v1/machines/{mac.machine_id}/retire").raise_for_status()
    assert (number_withheld(admin), value(server.dsn, STORED)) == (0, 0)


def test_a_report_and_a_change_are_judged_one_after_the_other(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    """Each could be harmless only without the other, so neither begins while the other has yet to commit."""
    essential(admin)
    add_rule(admin, VPN, ALLOW, rule_type="SIGNINGID")
    tag(admin, "lab", predicate=LAB)
    mode(admin, "tag:lab").raise_for_status()
    mac.sync()
    with held(server.dsn, f"select pg_advisory_xact_lock({LOCK_KEY})") as holder:
        mac.hostname = "lab-1"
        syncing = threading.Thread(target=mac.sync)
        syncing.start()
        holder.until(lambda: value(server.dsn, WAITING) == 1)
    syncing.join()
    assert mac.settings["client_mode"] == "LOCKDOWN"
    mask = {"rule_type": "SIGNINGID", "identifier": VPN, "policy": "NONE", "layer": "tag:lab"}
    responses: list[httpx.Response] = []
    with held(server.dsn, f"select pg_advisory_xact_lock_shared({LOCK_KEY})") as holder:
        add_rule(admin, sha(1))  # no change that the guard judges
        changing = threading.Thread(target=lambda: responses.append(admin.post("/api/v1/rules", json=mask)))
        changing.start()
        holder.until(lambda: value(server.dsn, WAITING) == 1)
    changing.join()
    assert "GlobalProtect (VPN)" in refused(responses[0])


def test_the_list_of_machines_finds_those_with_withheld_tags(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    lab_and_quiet(admin)
    others = [
        SimulatedMac(server.url, machine_id=name, serial=name, hostname=name) for name in ("o-1", "o-2")
    ]
    for other in others:
        other.sync()
        other.close()
    mac.groups, mac.hostname = ["quiet"], "lab-1"
    mac.sync()

    def found(**query: str | bool) -> list[str]:
        items = admin.get("/api/v1/machines", params={"withheld": True, **query}).json()["items"]
        count = admin.get("/api/v1/machines/count", params={"withheld": True, **query}).json()["count"]
        assert count == len(items)
        return [item["machine_id"] for item in items]

    assert found() == found(q="lab") == [mac.machine_id]
    assert found(q="o-1") == found(retired=True) == []
    assert len(admin.get("/api/v1/machines").json()["items"]) == 3
    order = {"action": "release", "filter": {"withheld": True}, "count": 1}
    assert admin.post("/api/v1/machines/actions", json=order).json()["changed"] == 1
    released = admin.get("/api/v1/machines").json()["items"]
    assert [one["machine_id"] for one in released if one["released_at"]] == [mac.machine_id]
    add_rule(admin, TEAM, ALLOW, rule_type="TEAMID")
    mac.sync()
    assert found() == []
