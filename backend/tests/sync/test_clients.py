"""Other clients and versions: they accept every response, and get all rules that they support."""

from contextlib import closing

import httpx
import pytest

from santaserver.policy import capabilities
from santaserver.sync import membership
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.support.strict_client import PEDRO, Settings, StrictClient
from tests.sync.helpers import add_rule, change_rule, remove_rule, sha

TEAM, CDHASH = "ABCDEFGHIJ", "c" * 40
UNKNOWN = (
    *("", "dev", "Santa", "Santa of the future", "1.0.0", "2026.x", "v2026.7", "2021.8.1"),
    *("\u0000\ud83d", "9" * 5000, "2026.7\n; pedro"),
)


def every_kind_of_rule(admin: httpx.Client) -> None:
    """One rule of each type and each policy."""
    add_rule(admin, sha(1))
    add_rule(admin, sha(2), "ALLOWLIST", custom_msg="hello", custom_url="https://example.com/")
    add_rule(admin, sha(3), "ALLOWLIST_COMPILER")
    add_rule(admin, sha(4), "SILENT_BLOCKLIST")
    add_rule(admin, sha(5), "SILENT_GUI_BLOCKLIST")
    add_rule(admin, sha(6), "SILENT_TTY_BLOCKLIST")
    add_rule(admin, sha(7), "CEL", cel_expr="euid == 0")
    add_rule(admin, sha(8), rule_type="CERTIFICATE")
    add_rule(admin, TEAM, rule_type="TEAMID")
    add_rule(admin, f"{TEAM}:com.example.tool", rule_type="SIGNINGID")
    add_rule(admin, CDHASH, rule_type="CDHASH")


READABLE = {
    ("BINARY", sha(1)): "BLOCKLIST",
    ("BINARY", sha(2)): "ALLOWLIST",
    ("BINARY", sha(3)): "ALLOWLIST_COMPILER",
    ("BINARY", sha(4)): "BLOCKLIST",
    ("BINARY", sha(5)): "BLOCKLIST",
    ("BINARY", sha(6)): "BLOCKLIST",
    ("CERTIFICATE", sha(8)): "BLOCKLIST",
    ("TEAMID", TEAM): "BLOCKLIST",
    ("SIGNINGID", f"{TEAM}:com.example.tool"): "BLOCKLIST",
}


def settings(admin: httpx.Client, **values: object) -> None:
    response = admin.patch("/api/v1/settings", json=values)
    assert response.status_code == httpx.codes.OK, response.text


def machine(admin: httpx.Client, client: StrictClient) -> dict[str, object]:
    response = admin.get(f"/api/v1/machines/{client.machine_id}")
    assert response.status_code == httpx.codes.OK, response.text
    shown: dict[str, object] = response.json()
    return shown


def test_pedro_has_every_rule_that_it_can_read(server: RunningServer, admin: httpx.Client) -> None:
    every_kind_of_rule(admin)
    for version in (PEDRO, "pedro-1.2.0 (rednose 0.1.0)", "Pedro 2", "fork-2 (pedro 0.4.0)"):
        client = StrictClient(server.url, version)
        for _ in range(3):
            client.sync()
            assert client.rules == READABLE | {("CD_HASH", CDHASH): "BLOCKLIST"}
            assert client.cursor is None
            assert machine(admin, client)["sync_state"] == "in_sync"


def test_an_unknown_client_has_what_everybody_can_read(server: RunningServer, admin: httpx.Client) -> None:
    every_kind_of_rule(admin)
    remount = {"action": "remount", "flags": ["rdonly"]}
    settings(admin, client_mode="STANDALONE", removable_media_policy=remount)
    for version in UNKNOWN:
        client = StrictClient(server.url, version)
        for _ in range(2):
            client.sync()
            assert client.rules == READABLE | {("BINARY", sha(3)): "ALLOWLIST"}, version
            assert machine(admin, client)["sync_state"] == "in_sync", version


def test_more_rules_than_a_page_come_at_once_at_every_sync(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("santaserver.sync.paging.PAGE_SIZE", 2)
    for number in range(7):
        add_rule(admin, sha(number))
    client = StrictClient(server.url)
    for _ in range(3):
        client.sync()
        assert len(client.rules) == 7
    add_rule(admin, sha(7))
    client.sync()
    assert len(client.rules) == 8


def test_the_cursor_of_another_server_is_no_obstacle(server: RunningServer, admin: httpx.Client) -> None:
    add_rule(admin, sha(1))
    client = StrictClient(server.url, cursor="from another server")
    client.sync()
    assert (len(client.rules), client.cursor) == (1, None)


@pytest.mark.parametrize("version", [PEDRO, "someone-1"])
def test_changes_removals_and_losses_are_followed(
    server: RunningServer, admin: httpx.Client, version: str
) -> None:
    first, second = add_rule(admin, sha(1)), add_rule(admin, sha(2))
    client = StrictClient(server.url, version)
    client.sync()
    change_rule(admin, first, "ALLOWLIST")
    client.sync(lose_postflight=True)
    assert machine(admin, client)["sync_state"] == "pending"
    client.sync()
    assert client.rules == {("BINARY", sha(1)): "ALLOWLIST", ("BINARY", sha(2)): "BLOCKLIST"}
    remove_rule(admin, second)
    client.sync()
    assert client.rules == {("BINARY", sha(1)): "ALLOWLIST"}
    remove_rule(admin, first)
    for _ in range(2):
        client.sync()
        assert {key: policy for key, policy in client.rules.items() if policy != "REMOVE"} == {}
        assert machine(admin, client)["sync_state"] == "in_sync"
    add_rule(admin, sha(3))
    client.sync()
    assert client.rules == {("BINARY", sha(3)): "BLOCKLIST"}


@pytest.mark.parametrize(("version", "kind"), [(PEDRO, "clean"), ("", "clean_all")])
def test_an_ordered_clean_sync_is_done_once(
    server: RunningServer, admin: httpx.Client, version: str, kind: str
) -> None:
    every_kind_of_rule(admin)
    client = StrictClient(server.url, version)
    client.sync()
    before = dict(client.rules)
    admin.post(f"/api/v1/machines/{client.machine_id}/clean-sync", json={"kind": kind})
    client.sync()
    assert client.raw["sync_type"] == kind.upper()
    assert client.rules == before
    shown = machine(admin, client)
    assert (shown["queued_clean"], shown["sync_state"]) == (None, "in_sync")
    client.sync()
    assert client.raw["sync_type"] == "NORMAL"


def test_modes_change_and_what_cannot_be_read_is_monitor(server: RunningServer, admin: httpx.Client) -> None:
    client = StrictClient(server.url)
    for wanted, got in (
        ("LOCKDOWN", "LOCKDOWN"),
        ("STANDALONE", "MONITOR"),
        ("LOCKDOWN", "LOCKDOWN"),
        ("MONITOR", "MONITOR"),
    ):
        settings(admin, client_mode=wanted)
        client.sync()
        assert client.mode == got


def test_only_settings_that_it_can_read_are_sent(server: RunningServer, admin: httpx.Client) -> None:
    settings(
        admin,
        blocked_path_regex="^(?:/tmp/.*)",
        event_detail_url="https://example.com/",
        removable_media_policy={"action": "remount", "flags": ["rdonly", "noexec"]},
    )
    client = StrictClient(server.url)
    got = client.sync()
    assert got.blocked_path_regex == "^(?:/tmp/.*)"
    assert (got.block_usb_mount, got.remount_usb_mode, got.allowed_path_regex) == (True, None, "")
    assert set(client.raw) <= set(Settings.__struct_fields__)


def test_years_bring_no_clean_sync_and_no_drift(server: RunningServer, admin: httpx.Client) -> None:
    add_rule(admin, sha(1))
    client = StrictClient(server.url)
    client.sync()
    for _ in range(5):
        server.clock.advance(days=1)
        client.sync()
        assert client.raw["sync_type"] == "NORMAL"


RELEASES = (
    ("2026.7.1", "STANDALONE", 5),
    ("2031.12.9", "STANDALONE", 5),
    ("9999.1.1", "STANDALONE", 5),
    ("2024.11", "STANDALONE", 5),
    ("2024.9.1", "MONITOR", 5),
    ("2023.9.1", "MONITOR", 4),
    ("2022.3", "MONITOR", 3),
)


def test_santa_is_sent_what_its_release_knows(server: RunningServer, admin: httpx.Client) -> None:
    every_kind_of_rule(admin)
    settings(admin, client_mode="STANDALONE")
    for version, mode, types in RELEASES:
        mac = SimulatedMac(server.url, santa_version=version, reports_hash=False)
        with closing(mac):
            assert mac.sync().kind == "CLEAN"
            assert (mac.client_mode, len({kind for kind, _ in mac.rules})) == (mode, types), version
            assert mac.sync().kind == "NORMAL", version


def test_a_client_that_applies_changes_is_right_too(server: RunningServer, admin: httpx.Client) -> None:
    """It is unknown how an unknown client handles fewer rules than before, so it gets a clean sync."""
    first = add_rule(admin, sha(1))
    second = add_rule(admin, sha(2))
    mac = SimulatedMac(server.url, santa_version="fork-1", reports_hash=False)
    mac.sync()
    changes = (
        lambda: remove_rule(admin, first),
        lambda: add_rule(admin, sha(3)),
        lambda: remove_rule(admin, second),
    )
    for change in changes:
        change()
        mac.sync()
        wanted = {rule["identifier"] for rule in admin.get("/api/v1/rules").json()["items"]}
        assert {identifier for _, identifier in mac.rules} == wanted
    for rule in admin.get("/api/v1/rules").json()["items"]:
        remove_rule(admin, rule["id"])
    mac.sync()
    assert mac.rules == {}
    mac.close()


def test_an_upgrade_of_the_server_finds_out_anew_what_a_client_can_read(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    every_kind_of_rule(admin)
    settings(admin, client_mode="STANDALONE")
    client = StrictClient(server.url)
    monkeypatch.setattr(membership, "by_version", lambda _: capabilities.by_code(0))
    with pytest.raises(Exception, match="STANDALONE"):
        client.sync()
    monkeypatch.setattr(membership, "by_version", capabilities.by_version)
    client.sync()
    assert (client.mode, len(client.rules)) == ("MONITOR", 10)
