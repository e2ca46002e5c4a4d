"""A machine's page shows what its client is not sent, how its counts differ, and which Macs share its id."""

from contextlib import closing
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.support.postgres import value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.support.strict_client import StrictClient
from tests.sync.helpers import add_rule, clean_reason, machine, sha

TEAM, CDHASH = "ABCDEFGHIJ", "c" * 40
DAY = 24


def kinds(shown: dict[str, Any]) -> list[str]:
    return [notice["kind"] for notice in shown["notices"]]


def settings(admin: httpx.Client, **values: object) -> None:
    response = admin.patch("/api/v1/settings", json=values)
    assert response.status_code == httpx.codes.OK, response.text


def seen(admin: httpx.Client, client: StrictClient) -> dict[str, Any]:
    shown: dict[str, Any] = admin.get(f"/api/v1/machines/{client.machine_id}").json()
    return shown


def test_what_pedro_cannot_read_is_shown(server: RunningServer, admin: httpx.Client) -> None:
    add_rule(admin, sha(1))
    add_rule(admin, sha(2), "SILENT_BLOCKLIST")
    add_rule(admin, sha(3), "CEL", cel_expr="euid == 0")
    add_rule(admin, CDHASH, rule_type="CDHASH")
    settings(admin, client_mode="STANDALONE", event_detail_url="https://example.com/")
    client = StrictClient(server.url)
    client.sync()
    shown = seen(admin, client)
    assert shown["client"] == {"family": "pedro", "name": "pedro", "takes_all_rules": True}
    assert kinds(shown) == ["rules_undelivered", "settings_undelivered"]
    assert all(notice["text"] and notice["advice"] for notice in shown["notices"])
    rules = shown["undelivered_rules"]
    assert rules["total"] == 2
    assert [(rule["identifier"], rule["sent"], rule["layer"]) for rule in rules["items"]] == [
        (sha(2), "BLOCKLIST", "global"),
        (sha(3), None, "global"),
    ]
    assert rules["items"][1]["why"] == "pedro does not support the policy CEL"
    assert {(gap["key"], gap["sent"]) for gap in shown["undelivered_settings"]} == {
        ("client_mode", "MONITOR"),
        ("event_detail_url", None),
    }


def test_what_it_holds_is_known_without_its_counts(server: RunningServer, admin: httpx.Client) -> None:
    for number in range(3):
        add_rule(admin, sha(number))
    add_rule(admin, CDHASH, rule_type="CDHASH")
    client = StrictClient(server.url)
    client.sync(lose_postflight=True)
    assert seen(admin, client)["held_rules"] is None
    client.sync()
    shown = seen(admin, client)
    assert shown["held_rules"] == {
        "binary": 3,
        "certificate": 0,
        "teamid": 0,
        "signingid": 0,
        "cdhash": 1,
        "total": 4,
    }
    listed = admin.get("/api/v1/machines").json()["items"][0]
    assert (listed["rule_counts"]["binary"], listed["rule_counts"]["cdhash"]) == (3, 1)
    assert listed["rule_counts"] == shown["rule_counts"]
    assert shown["last_sync"]["sent"] == 4
    assert (shown["last_sync"]["received"], shown["last_sync"]["finished_at"] is None) == (None, False)
    assert shown["counts_difference"] is None


@pytest.mark.parametrize(
    ("version", "rules", "gaps"),
    [
        ("2026.7.1", [], []),
        ("2026.5.1", [("BINARY", "SILENT_BLOCKLIST")], []),
        (
            "2025.12.1",
            [("BINARY", "SILENT_BLOCKLIST")],
            [("encrypted_removable_media_policy", None)],
        ),
        (
            "2023.9",
            [("BINARY", "SILENT_BLOCKLIST"), ("BINARY", None), ("CDHASH", None)],
            [
                ("client_mode", "MONITOR"),
                ("encrypted_removable_media_policy", None),
                ("event_detail_text", None),
            ],
        ),
    ],
)
def test_what_an_older_santa_cannot_read_is_shown_with_the_release_that_can(
    admin: httpx.Client, mac: SimulatedMac, version: str, rules: list[Any], gaps: list[Any]
) -> None:
    add_rule(admin, sha(1), "SILENT_GUI_BLOCKLIST")
    add_rule(admin, sha(2), "CEL", cel_expr="euid == 0")
    add_rule(admin, CDHASH, rule_type="CDHASH")
    settings(
        admin,
        client_mode="STANDALONE",
        event_detail_text="More",
        removable_media_policy={"action": "remount", "flags": ["rdonly"]},
        encrypted_removable_media_policy={"action": "block"},
    )
    mac.santa_version = version
    mac.sync()
    shown = machine(admin, mac)
    assert [(rule["rule_type"], rule["sent"]) for rule in shown["undelivered_rules"]["items"]] == rules
    assert [(gap["key"], gap["sent"]) for gap in shown["undelivered_settings"]] == gaps
    for told in (*shown["undelivered_rules"]["items"], *shown["undelivered_settings"]):
        assert told["why"].startswith(f"Santa {'.'.join(version.split('.')[:2])} does not support")
        assert told["why"].endswith("and later do")


def test_only_the_rule_in_force_counts(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.santa_version = "2025.1.1"
    mac.sync()
    own = f"machine:{mac.machine_id}"
    for number in (1, 2, 3):
        add_rule(admin, sha(number), "CEL", cel_expr="euid == 0")
    add_rule(admin, sha(1), "BLOCKLIST", layer=own)
    add_rule(admin, sha(2), "NONE", layer=own)
    add_rule(admin, sha(4), "CEL", cel_expr="euid == 0", layer=own)
    mac.sync()
    items = machine(admin, mac)["undelivered_rules"]["items"]
    assert [(rule["identifier"], rule["layer"]) for rule in items] == [(sha(3), "global"), (sha(4), own)]
    asked = {"machine_id": mac.machine_id, "sha256": sha(3)}
    explained = admin.get("/api/v1/explain/program", params=asked).json()
    assert explained["targets"][0]["candidates"][0]["why"] == items[0]["why"]


def test_an_unknown_client_is_named_as_such(server: RunningServer, admin: httpx.Client) -> None:
    client = StrictClient(server.url, version="mystery 7")
    client.sync()
    (notice,) = seen(admin, client)["notices"]
    assert notice["kind"] == "client_unknown"
    assert "'mystery 7'" in notice["text"]


class Miscounting(SimulatedMac):
    """A Mac that reports one rule more than it has, always."""

    def preflight_body(self) -> dict[str, Any]:
        """Add one."""
        body = super().preflight_body()
        return body | {"binary_rule_count": body.get("binary_rule_count", 0) + 1}


class Silent(SimulatedMac):
    """A Mac that never reports a count."""

    def preflight_body(self) -> dict[str, Any]:
        """Leave them all out."""
        return {name: said for name, said in super().preflight_body().items() if "_count" not in name}


class Restless(SimulatedMac):
    """A Mac whose digest is another one each time."""

    def preflight_body(self) -> dict[str, Any]:
        """Make one up."""
        self.syncs = getattr(self, "syncs", 0) + 1
        return super().preflight_body() | {"rulesHash": f"{self.syncs:032x}"}


@pytest.mark.parametrize("kind", [Miscounting, Silent, Restless])
def test_a_rule_table_that_stays_wrong_costs_ever_fewer_clean_syncs(
    server: RunningServer, admin: httpx.Client, kind: type[SimulatedMac]
) -> None:
    add_rule(admin, sha(1))
    with closing(kind(server.url, santa_version="2025.5.1", reports_hash=kind is Restless)) as mac:
        # It is new, then its rule table is not what it should be, twice.
        assert [mac.sync().kind for _ in range(3)] == ["CLEAN"] * 3
        for days in (1, 2, 4, 8, 16, 30, 30):
            server.clock.advance(hours=days * DAY - 1)
            assert mac.sync().kind == "NORMAL", days
            server.clock.advance(hours=1)
            assert mac.sync().kind == "CLEAN", days
        assert mac.rules


def test_a_page_says_that_counts_differ_and_since_when(server: RunningServer, admin: httpx.Client) -> None:
    add_rule(admin, sha(1))
    with closing(Miscounting(server.url, santa_version="2025.5.1", reports_hash=False)) as mac:
        mac.sync()
        began = server.clock()
        mac.sync()
        ended = server.clock()
        for _ in range(3):
            server.clock.advance(hours=1)
            mac.sync()
        shown = machine(admin, mac)
        assert (kinds(shown), shown["sync_state"]) == (["counts_differ"], "drifted")
        difference = shown["counts_difference"]
        assert (difference["ours"]["total"], difference["its"]["total"]) == (1, 2)
        assert began <= datetime.fromisoformat(difference["since"]) <= ended
        assert datetime.fromisoformat(difference["next_clean_at"]) > server.clock()
        assert "reports 2 rules, 1 are expected" in shown["notices"][0]["text"]


def test_where_a_clean_sync_helps_one_is_enough(server: RunningServer, admin: httpx.Client) -> None:
    add_rule(admin, sha(1))
    with closing(SimulatedMac(server.url, santa_version="2025.5.1", reports_hash=False)) as mac:
        mac.sync()
        mac.rules["BINARY", sha(9)] = ("BLOCKLIST", "", "", "")
        assert mac.sync().kind == "CLEAN"
        assert mac.sync().kind == "NORMAL"
        shown = machine(admin, mac)
        assert (shown["counts_difference"], shown["notices"]) == (None, [])


def test_two_serials_on_one_id_are_both_shown(server: RunningServer, admin: httpx.Client) -> None:
    with (
        closing(SimulatedMac(server.url, serial="C02FIRST")) as first,
        closing(SimulatedMac(server.url, serial="C02SECOND", machine_id=first.machine_id)) as second,
    ):
        first.sync()
        assert machine(admin, first)["notices"] == []
        server.clock.advance(hours=1)
        again = server.clock()
        first.sync()
        server.clock.advance(hours=1)
        switched = server.clock()
        second.sync()
        assert clean_reason(admin, second) == "identity_conflict"
        shown = machine(admin, first)
        assert [one["serial"] for one in shown["serials"]] == ["C02SECOND", "C02FIRST"]
        last = [datetime.fromisoformat(one["last_seen_at"]) for one in shown["serials"]]
        assert last[0] >= switched > last[1] >= again
        (notice,) = shown["notices"]
        assert notice["kind"] == "identity_conflict"
        assert "C02FIRST" in notice["text"]
        assert "C02SECOND" in notice["text"]
        assert "MachineID" in notice["advice"]
        server.clock.advance(hours=1)
        second.sync()
        later = machine(admin, first)["serials"]
        assert later[0]["last_seen_at"] > shown["serials"][0]["last_seen_at"]
        server.clock.advance(hours=DAY)
        assert machine(admin, first)["notices"] == []


def test_a_liar_cannot_fill_the_list_of_serials(server: RunningServer, admin: httpx.Client) -> None:
    with closing(SimulatedMac(server.url)) as mac:
        for number in range(30):
            mac.serial = f"C02{number}"
            mac.post("preflight", mac.preflight_body())
            server.clock.advance(seconds=1)
        assert value(server.dsn, "select count(*) from machine_serial") <= 21
        assert machine(admin, mac)["serials"][0]["serial"] == "C0229"
