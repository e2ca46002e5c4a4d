"""File accesses, audit events of agents and the catalog of programs over REST."""

from typing import Any

import httpx
import pytest

from tests.support.santa_client import SimulatedMac

ACCESS = {
    "rule_version": "7",
    "rule_name": "Browser cookies",
    "target": "/Users/lena/Library/Cookies",
    "access_time": 1_763_900_000.25,
    "decision": "FILE_ACCESS_DECISION_DENIED",
    "process_chain": [
        {"file_path": "/bin/cat", "pid": 123, "signing_id": "com.apple.cat", "cdhash": "d" * 40},
        {"pid": 456},
    ],
}
SIGNED: dict[str, Any] = {
    "team_id": "ABCDE12345",
    "signing_id": "ABCDE12345:com.example.tool",
    "cdhash": "b" * 40,
    "file_bundle_id": "com.example.tool",
    "file_bundle_name": "Tool",
    "signing_chain": [{"sha256": "e" * 64, "cn": "Developer ID", "org": "Example Ltd", "ou": "ABCDE12345"}],
}


def listed(client: httpx.Client, path: str, **params: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return a whole list, two rows at a time."""
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2, **params}
    while True:
        response = client.get(f"/api/v1/{path}", params=query)
        assert response.status_code == httpx.codes.OK, response.text
        found += response.json()["items"]
        query["cursor"] = response.json()["next_cursor"]
        if query["cursor"] is None:
            return found


def test_file_accesses_are_listed_and_found(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    events = [
        {**ACCESS, "access_time": 1_763_900_000.25 + number, "target": f"/secret/{number}"}
        for number in range(5)
    ]
    audit = {
        **ACCESS,
        "access_time": 1_763_800_000.0,
        "rule_name": "Keys",
        "decision": "FILE_ACCESS_DECISION_AUDIT_ONLY",
    }
    mac.post("eventupload", {"file_access_events": [*events, audit]})
    shown = listed(admin, "file-accesses")
    assert [row["target"] for row in shown[:5]] == [f"/secret/{number}" for number in (4, 3, 2, 1, 0)]
    assert shown[0]["hostname"] == mac.hostname
    assert shown[0]["process_chain"][0]["file_path"] == "/bin/cat"
    assert shown[0]["process_chain"][1] == {
        "pid": 456,
        "file_path": "",
        "file_sha256": "",
        "cdhash": "",
        "signing_id": "",
        "team_id": "",
    }
    assert len(shown) == 6
    assert [row["target"] for row in listed(admin, "file-accesses", q="secret/3")] == ["/secret/3"]
    only = listed(admin, "file-accesses", decision="FILE_ACCESS_DECISION_AUDIT_ONLY")
    assert [row["rule_name"] for row in only] == ["Keys"]
    assert len(listed(admin, "file-accesses", machine_id=mac.machine_id)) == 6
    assert listed(admin, "file-accesses", machine_id="nobody") == []


def test_agents_own_actions_are_listed(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    for number in range(3):
        made = {
            "decision": "ALLOW_BINARY",
            "identifier": f"{number}" * 64,
            "timestamp": 1_763_900_000 + number,
        }
        mac.post("eventupload", {"audit_events": [{"standalone_mode_rule_creation": made}]})
    shown = listed(admin, "agent-audits")
    assert [row["identifier"][0] for row in shown] == ["2", "1", "0"]
    assert shown[0]["kind"] == "standalone_mode_rule_creation"
    assert shown[0]["decision"] == "ALLOW_BINARY"
    assert listed(admin, "agent-audits", machine_id="nobody") == []


def test_programs_carry_every_identifier_and_their_counts(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    for number in range(3):
        mac.block("Tool", when=1_763_900_000.5 + number, **SIGNED)
    mac.block("Tool", when=1_763_900_100.5, decision="ALLOW_UNKNOWN", **SIGNED)
    mac.block("Other", when=1_763_900_200.5, decision="ALLOW_BINARY")
    programs = {row["file_name"]: row for row in listed(admin, "programs")}
    tool = programs["Tool"]
    assert {name: tool[name] for name in ("team_id", "signing_id", "cdhash")} == {
        name: SIGNED[name] for name in ("team_id", "signing_id", "cdhash")
    }
    assert (tool["certificate_sha256"], tool["publisher"]) == ("e" * 64, "Example Ltd")
    assert (tool["bundle_name"], tool["blocked"], tool["allowed"]) == ("Tool", 3, 1)
    assert (programs["Other"]["publisher"], programs["Other"]["blocked"]) == ("", 0)
    assert admin.get(f"/api/v1/programs/{tool['id']}").json() == tool
    assert [row["file_name"] for row in listed(admin, "programs", outcome="blocked")] == ["Tool"]
    for text in ("com.example", "example ltd", "b" * 40, "abcde12345", tool["sha256"].upper()):
        assert [row["file_name"] for row in listed(admin, "programs", q=text)] == ["Tool"], text
    assert admin.get("/api/v1/programs/0").status_code == httpx.codes.NOT_FOUND


@pytest.mark.parametrize("path", ["file-accesses", "agent-audits", "programs", "programs/1"])
def test_nobody_reads_them_without_a_login(anonymous: httpx.Client, path: str) -> None:
    assert anonymous.get(f"/api/v1/{path}").status_code == httpx.codes.UNAUTHORIZED
