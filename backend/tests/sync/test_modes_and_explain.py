"""The time-boxed monitor mode, and the explanations of what is in force."""

import httpx

from tests.support.postgres import fetch
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, give, sha, tag

BLOCK, ALLOW = "BLOCKLIST", "ALLOWLIST"


def test_monitor_mode_ends_after_its_time_or_early(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    admin.patch("/api/v1/settings", json={"client_mode": "LOCKDOWN"})
    mac.sync()
    path = f"/api/v1/machines/{mac.machine_id}/monitor-mode"
    started = admin.post(path, json={"minutes": 60, "reason": "ticket 7"})
    assert started.json()["monitor_until"] is not None
    assert mac.sync().settings["client_mode"] == "MONITOR"
    server.clock.advance(minutes=61)
    assert mac.sync().settings["client_mode"] == "LOCKDOWN"
    admin.post(path, json={"minutes": 60, "reason": "ticket 8"})
    assert mac.sync().settings["client_mode"] == "MONITOR"
    assert admin.delete(path).json()["monitor_until"] is None
    assert mac.sync().settings["client_mode"] == "LOCKDOWN"
    windows = fetch(
        server.dsn, "select reason, ended_at is not null as early from monitor_window order by id"
    )
    assert [(row["reason"], row["early"]) for row in windows] == [("ticket 7", False), ("ticket 8", True)]


def test_monitor_mode_cannot_undo_a_locked_mode(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    path = f"/api/v1/machines/{mac.machine_id}/monitor-mode"
    assert admin.post(path, json={"minutes": 60, "reason": "why"}).status_code == httpx.codes.OK
    body = {"values": {"client_mode": "LOCKDOWN"}, "locked": ["client_mode"]}
    admin.put("/api/v1/settings/layer?layer=global", json=body)
    assert mac.sync().settings["client_mode"] == "LOCKDOWN"
    assert admin.post(path, json={"minutes": 60, "reason": "why"}).status_code == httpx.codes.CONFLICT


def test_explain_names_the_winner_and_the_losers(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    give(admin, tag(admin, "t"), mac)
    add_rule(admin, sha(1), BLOCK)
    add_rule(admin, sha(1), ALLOW, layer="tag:t")
    add_rule(admin, "ABCDEFGHIJ", BLOCK, rule_type="TEAMID", locked=True)
    add_rule(admin, "ABCDEFGHIJ", "NONE", rule_type="TEAMID", layer="user:sim")
    mac.sync()
    asked = {"machine_id": mac.machine_id, "sha256": sha(1).upper(), "team_id": "ABCDEFGHIJ"}
    told = admin.get("/api/v1/explain/program", params=asked).json()
    assert told["layers"] == ["global", "tag:t", "user:sim"]
    assert (told["confirmed"], told["decided_by"]) == (True, "BINARY")
    outcomes = [[(c["layer"], c["outcome"]) for c in target["candidates"]] for target in told["targets"]]
    assert outcomes == [
        [("global", "loses"), ("tag:t", "wins")],
        [("global", "outranked"), ("user:sim", "loses")],
    ]
    assert [target["policy"] for target in told["targets"]] == [ALLOW, BLOCK]
    asked.pop("sha256")
    told = admin.get("/api/v1/explain/program", params=asked).json()
    assert [c["outcome"] for c in told["targets"][0]["candidates"]] == ["wins", "loses"]


def test_explain_says_which_mode_decides_without_a_rule(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()

    def told() -> tuple[str, str | None, bool, str | None]:
        asked = {"machine_id": mac.machine_id, "sha256": sha(1)}
        response = admin.get("/api/v1/explain/program", params=asked).json()
        return response["client_mode"], response["mode_layer"], response["monitored"], response["decided_by"]

    assert told() == ("MONITOR", None, False, None)
    body = {"values": {"client_mode": "LOCKDOWN"}}
    admin.patch("/api/v1/settings/layer?layer=user:sim", json=body)
    mac.sync()
    assert told() == ("LOCKDOWN", "user:sim", False, None)
    path = f"/api/v1/machines/{mac.machine_id}/monitor-mode"
    admin.post(path, json={"minutes": 60, "reason": "why"})
    assert told() == ("MONITOR", None, True, None)
