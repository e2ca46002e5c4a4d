"""What a machine's page shows of its policy: rules with their layer, tags with their reasons, live times."""

import httpx

from tests.support.santa_client import SimulatedMac
from tests.sync.helpers import add_rule, machine, sha


def rules_of(admin: httpx.Client, mac: SimulatedMac, **query: object) -> list[dict[str, object]]:
    """Return all effective rules, page by page."""
    found: list[dict[str, object]] = []
    params = {"machine_id": mac.machine_id, "limit": 2, **query}
    while True:
        response = admin.get("/api/v1/explain/rules", params=params)  # type: ignore[arg-type]
        assert response.status_code == httpx.codes.OK, response.text
        page = response.json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


def test_effective_rules_are_those_that_the_mac_gets(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.santa_version = "2026.1.1"
    mac.sync()
    own = f"machine:{mac.machine_id}"
    for number in range(5):
        add_rule(admin, sha(number), comment=f"number {number}")
    add_rule(admin, sha(1), "ALLOWLIST", layer=own)
    add_rule(admin, sha(2), "NONE", layer=own)
    add_rule(admin, sha(3), "ALLOWLIST", layer="user:sim")
    add_rule(admin, sha(9), "SILENT_GUI_BLOCKLIST", layer=own)
    add_rule(admin, sha(8), "CEL", cel_expr="path == '/x'", layer=own)
    mac.sync()
    shown = rules_of(admin, mac)
    assert [(rule["identifier"], rule["policy"], rule["layer"]) for rule in shown] == [
        (sha(0), "BLOCKLIST", "global"),
        (sha(1), "ALLOWLIST", own),
        (sha(3), "ALLOWLIST", "user:sim"),
        (sha(4), "BLOCKLIST", "global"),
        (sha(9), "SILENT_BLOCKLIST", own),
    ]
    assert {(rule["rule_type"], rule["identifier"]) for rule in shown} == set(mac.rules)
    assert [rule["identifier"] for rule in rules_of(admin, mac, q="number 4")] == [sha(4)]


def test_tags_of_a_machine_say_why(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.groups = ["Lab"]
    for content in ({"name": "low", "groups": ["lab"]}, {"name": "high", "predicate": "sip_enabled"}):
        admin.post("/api/v1/tags", json=content)
    mac.sync()
    low = admin.get("/api/v1/tags").json()[0]["id"]
    admin.put(f"/api/v1/tags/{low}/members/{mac.machine_id}")
    shown = admin.get(f"/api/v1/machines/{mac.machine_id}/tags").json()
    assert [(tag["name"], tag["sources"]) for tag in shown] == [
        ("high", ["predicate"]),
        ("low", ["group", "manual"]),
    ]
    assert admin.get("/api/v1/machines/nobody/tags").status_code == httpx.codes.NOT_FOUND


def test_the_times_of_syncs_are_those_of_the_last_one(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    first = machine(admin, mac)
    assert first["last_clean_at"] is not None
    mac.sync()
    second = machine(admin, mac)
    assert second["last_preflight_at"] > first["last_preflight_at"]
    assert second["last_postflight_at"] > first["last_postflight_at"]
    assert second["last_clean_at"] == first["last_clean_at"]


def test_an_ordered_clean_sync_is_shown_until_it_begins(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    admin.post(f"/api/v1/machines/{mac.machine_id}/clean-sync", json={"kind": "clean_all"})
    assert machine(admin, mac)["queued_clean"] == "clean_all"
    mac.sync()
    assert machine(admin, mac)["queued_clean"] is None


def test_a_machine_that_never_synced_has_nothing_to_explain(admin: httpx.Client) -> None:
    response = admin.get("/api/v1/explain/rules", params={"machine_id": "nobody"})
    assert response.status_code == httpx.codes.NOT_FOUND
