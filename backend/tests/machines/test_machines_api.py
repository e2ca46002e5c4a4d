"""Machines and the overview over REST."""

import httpx

from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


def sync_some(server: RunningServer, number: int) -> list[SimulatedMac]:
    made = [
        SimulatedMac(
            server.url, machine_id=f"M{index}", serial=f"S{index}", hostname=f"mac-{index}.example.com"
        )
        for index in range(number)
    ]
    for mac in made:
        mac.sync()
        mac.close()
    return made


def test_a_machine_is_shown_as_it_reported_itself(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.transitive.add("f" * 64)
    mac.sync()
    shown = admin.get(f"/api/v1/machines/{mac.machine_id}").json()
    assert (shown["serial"], shown["model"], shown["os_build"]) == ("C02SIM00TEST", "Mac16,1", "24G90")
    assert shown["rule_counts"] == {
        "binary": 1,
        "certificate": 0,
        "teamid": 0,
        "signingid": 0,
        "cdhash": 0,
        "compiler": 0,
        "transitive": 1,
    }
    sync = shown["last_sync"]
    assert (sync["kind"], sync["clean_reason"], sync["sent"], sync["received"]) == (
        "clean",
        "new_machine",
        1,
        1,
    )


def test_the_state_of_a_machine_follows_its_syncs(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    def state() -> str:
        found: str = admin.get(f"/api/v1/machines/{mac.machine_id}").json()["sync_state"]
        return found

    mac.post("preflight", mac.preflight_body())
    assert state() == "never"
    mac.sync()
    assert state() == "in_sync"
    admin.post(
        "/api/v1/rules", json={"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
    )
    assert state() == "pending"
    mac.sync()
    assert state() == "in_sync"
    server.clock.advance(minutes=36)
    assert state() == "overdue"


def test_machines_are_paged_and_searched(server: RunningServer, admin: httpx.Client) -> None:
    sync_some(server, 5)
    first = admin.get("/api/v1/machines?limit=3").json()
    second = admin.get("/api/v1/machines", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    names = [machine["machine_id"] for machine in first["items"] + second["items"]]
    assert names == ["M0", "M1", "M2", "M3", "M4"]
    assert second["next_cursor"] is None
    assert [found["machine_id"] for found in admin.get("/api/v1/machines?q=MAC-3").json()["items"]] == ["M3"]


def test_a_machine_whose_id_has_slashes_can_be_reached(server: RunningServer, admin: httpx.Client) -> None:
    mac = SimulatedMac(server.url, machine_id="lab/7")
    mac.sync()
    mac.close()
    assert admin.get("/api/v1/machines/lab%2F7").json()["machine_id"] == "lab/7"
    order = admin.post("/api/v1/machines/lab%2F7/clean-sync", json={"kind": "clean"})
    assert order.status_code == httpx.codes.ACCEPTED


def test_an_unknown_machine_is_not_found(admin: httpx.Client) -> None:
    assert admin.get("/api/v1/machines/none").status_code == httpx.codes.NOT_FOUND
    order = admin.post("/api/v1/machines/none/clean-sync", json={"kind": "clean"})
    assert order.status_code == httpx.codes.NOT_FOUND


def test_the_overview_counts_the_fleet(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> None:
    sync_some(server, 2)
    mac.post("preflight", mac.preflight_body())
    now = server.clock().timestamp()
    mac.block("Evil", now)
    mac.block("Odd", now - 3600, decision="ALLOW_UNKNOWN")
    mac.block("Old", now - 90_000)
    overview = admin.get("/api/v1/overview").json()
    assert overview["machines"] == {
        "total": 3,
        "in_sync": 2,
        "pending": 0,
        "overdue": 0,
        "never": 1,
        "drifted": 0,
        "withheld": 0,
    }
    assert overview["events"] == {"blocked_24h": 1, "unknown_24h": 2, "total_24h": 2}
    assert overview["modes"] == {"monitor": 3, "lockdown": 0, "standalone": 0}
    assert len(overview["hourly"]) == 24
    assert overview["hourly"][-1]["blocked"] == 1


def test_an_execution_is_in_one_series_of_the_chart_only(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    for number, decision in enumerate(
        ("BLOCK_UNKNOWN", "BLOCK_UNKNOWN", "ALLOW_UNKNOWN", "ALLOW_TEAMID", "BLOCK_CDHASH")
    ):
        mac.block(f"Program {number}", server.clock().timestamp(), decision=decision)
    overview = admin.get("/api/v1/overview").json()
    hour = overview["hourly"][-1]
    assert (hour["blocked"], hour["unknown"], hour["allowed"]) == (3, 1, 1)
    assert overview["events"] == {"blocked_24h": 3, "unknown_24h": 3, "total_24h": 5}


def test_settings_are_checked(admin: httpx.Client) -> None:
    settings = admin.get("/api/v1/settings").json()
    for field, value in (("full_sync_interval", 10), ("client_mode", "OPEN"), ("allowed_path_regex", "a\0")):
        response = admin.patch("/api/v1/settings", json={**settings, field: value})
        assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
        assert field in response.text
    assert admin.get("/api/v1/settings").json() == settings
