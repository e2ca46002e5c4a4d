"""A postflight names no sync: a late one of an earlier sync proves nothing about settings sent since."""

from typing import Any

import httpx
import pytest

from tests.support.santa_client import SimulatedMac, SyncError
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, give, machine, remove_rule, sha, tag

WHOLE_SET = "pedro 1.2"


def mode(admin: httpx.Client, word: str, layer: str = "global") -> None:
    """Set the client mode of a layer."""
    body = {"values": {"client_mode": word}, "locked": []}
    answer = admin.put("/api/v1/settings/layer", params={"layer": layer}, json=body)
    assert answer.status_code == httpx.codes.OK, answer.text


def proven(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> bool:
    """Tell whether the server says that the Mac has its client mode."""
    path = f"/api/v1/machines/{mac.machine_id}/policy"
    then = admin.get(path, params={"at": server.clock().isoformat()}).json()
    return bool(then["settings"]["client_mode"]["confirmed"])


def confirmed(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> bool:
    """The same, once it is known that its state says so too."""
    said = proven(server, admin, mac)
    assert said == (machine(admin, mac)["sync_state"] == "in_sync")
    return said


def begin(mac: SimulatedMac, *, lost: bool = False) -> None:
    """Post a preflight, whose response is lost or read."""
    settings = mac.post("preflight", mac.preflight_body())
    assert settings["sync_type"] == "NORMAL"
    if not lost:
        mac.settings = settings


def finish(mac: SimulatedMac) -> None:
    """Do the rest of a sync."""
    rules = mac.post("ruledownload", {"machine_id": mac.machine_id})["rules"]
    mac.apply("NORMAL", rules)
    mac.post("postflight", mac.postflight_body("NORMAL", len(rules)))


@pytest.fixture(name="idle")
def _idle(mac: SimulatedMac) -> dict[str, Any]:
    """The postflight of a sync without rules, of a Mac that has done such syncs."""
    mac.sync()
    assert mac.sync().received == 0
    return mac.postflight_body("NORMAL", 0)


@pytest.mark.parametrize("arrived", [False, True])
@pytest.mark.parametrize("version", ["2026.7.812345678", WHOLE_SET])
def test_a_late_one_confirms_no_settings(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, version: str, arrived: bool
) -> None:
    mac.santa_version = version
    mac.sync()
    begin(mac)
    late = mac.postflight_body("NORMAL", 0)
    if arrived:  # what is late is its repetition
        finish(mac)
        assert confirmed(server, admin, mac)
    mode(admin, "LOCKDOWN")
    begin(mac, lost=True)
    mac.post("postflight", late)
    assert not confirmed(server, admin, mac)
    begin(mac)
    mac.post("postflight", late)
    assert not confirmed(server, admin, mac)
    finish(mac)
    assert confirmed(server, admin, mac)


def test_another_process_knows_it_too(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, idle: dict[str, Any]
) -> None:
    mode(admin, "LOCKDOWN")
    with RunningServer(server.dsn, clock=server.clock) as other:
        begin(mac, lost=True)
        first, mac.url = mac.url, other.url
        mac.post("postflight", idle)
        assert not confirmed(server, admin, mac)
        mac.url = first
        mac.sync()
    assert confirmed(server, admin, mac)


def test_settings_that_were_changed_back_are_not_proven_while_others_may_have_been_read(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, idle: dict[str, Any]
) -> None:
    mode(admin, "LOCKDOWN")
    begin(mac)
    assert mac.settings["client_mode"] == "LOCKDOWN"
    mode(admin, "MONITOR")
    for _ in range(3):
        begin(mac, lost=True)
        mac.post("postflight", idle)
        assert machine(admin, mac)["sync_state"] == "pending"
    mac.sync()
    assert confirmed(server, admin, mac)


def test_each_postflight_of_settings_fits_its_own_sync_only(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, idle: dict[str, Any]
) -> None:
    late = [idle]
    for word in ("LOCKDOWN", "MONITOR", "LOCKDOWN"):
        mode(admin, word)
        begin(mac, lost=True)
        for one in late:
            mac.post("postflight", one)
        begin(mac)
        received = len(mac.post("ruledownload", {"machine_id": mac.machine_id})["rules"])
        for one in late:
            mac.post("postflight", one)
        assert not confirmed(server, admin, mac)
        late.append(mac.postflight_body("NORMAL", received))
        mac.post("postflight", late[-1])
        assert confirmed(server, admin, mac)
    counts = [body.get("rules_received", 0) for body in late]
    assert len(set(counts)) == len(counts)
    assert mac.sync().received == 0


def test_settings_of_others_cost_a_mac_nothing(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    tag(admin, "lab")
    mode(admin, "LOCKDOWN", "tag:lab")
    assert mac.sync().received == 0
    mode(admin, "MONITOR")  # what it has by default
    assert mac.sync().received == 0
    assert confirmed(server, admin, mac)


def test_a_tag_with_settings_alone_is_proven_too(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, idle: dict[str, Any]
) -> None:
    lab = tag(admin, "lab")
    mode(admin, "LOCKDOWN", "tag:lab")
    give(admin, lab, mac)
    begin(mac, lost=True)
    mac.post("postflight", idle)
    assert not confirmed(server, admin, mac)
    mac.sync()
    assert confirmed(server, admin, mac)
    assert mac.settings["client_mode"] == "LOCKDOWN"


def test_a_download_without_a_preflight_confirms_no_settings(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    rule = add_rule(admin, sha(1))
    finish(mac)
    assert proven(server, admin, mac), "no setting has changed"
    mode(admin, "LOCKDOWN")
    remove_rule(admin, rule)
    with pytest.raises(SyncError, match="preflight"):
        finish(mac)
    assert not confirmed(server, admin, mac)
    mac.sync()
    assert (confirmed(server, admin, mac), mac.rules) == (True, {})
