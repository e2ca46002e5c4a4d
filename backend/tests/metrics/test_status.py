"""The operators' view of the server."""

from typing import Any

import httpx

from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


def status(client: httpx.Client) -> dict[str, Any]:
    response = client.get("/api/v1/status")
    assert response.status_code == httpx.codes.OK, response.text
    shown: dict[str, Any] = response.json()
    return shown


def test_the_status_says_how_database_and_worker_are(admin: httpx.Client, server: RunningServer) -> None:
    shown = status(admin)
    database = shown["database"]
    assert database["version"].startswith("17")
    assert database["schema_version"] == database["expected_schema_version"]
    assert database["size"] > 1_000_000
    assert 0 < database["connections"] <= database["max_connections"]
    worker = shown["worker"]
    pools = {pool["name"]: pool for pool in worker["pools"]}
    assert pools["rest"]["used"] == 1
    assert all(pool["waiting"] == pool["refused"] == 0 for pool in pools.values())
    assert 0 < worker["temporary_free"] <= worker["temporary_size"]
    assert worker["cache_used"] == server.app.state.santa.memory.used
    assert shown["audit"]["entries"] > 0
    assert (shown["audit"]["signed"], shown["audit"]["sent"]) == (False, False)


def test_the_status_says_what_is_due_and_how_old_the_data_is(
    admin: httpx.Client, server: RunningServer, mac: SimulatedMac
) -> None:
    empty = status(admin)
    assert empty["schedule"]["next_change_at"] is None
    assert [one["oldest_at"] for one in empty["kept"]] == [None] * 4
    rule = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "ALLOWLIST"}
    later = "2099-01-01T00:00:00Z"
    made = admin.post("/api/v1/rules", json={**rule, "expires_at": later})
    assert made.status_code == httpx.codes.CREATED, made.text
    mac.sync()
    at = server.clock().timestamp() - 3600
    event = {"file_sha256": "a" * 64, "execution_time": at, "decision": "ALLOW_BINARY"}
    mac.post("eventupload", {"events": [event]})
    shown = status(admin)
    assert shown["schedule"]["next_change_at"] == later
    assert shown["schedule"]["policy_number"] == empty["schedule"]["policy_number"] + 1
    kept = {one["kind"]: one for one in shown["kept"]}
    assert kept["events"]["oldest_at"] is not None
    assert kept["events"]["days"] == 3650
    assert kept["file_accesses"]["oldest_at"] is None
