"""The lock-out guard judges results: each kind of change, through the REST interface, with Macs that sync."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.conftest import ADMIN
from tests.support.postgres import execute, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, give, tag

VPN, TEAM = "PXPZ95SK77:com.paloaltonetworks.GlobalProtect", "PXPZ95SK77"
PATH = "/Applications/GlobalProtect.app/Contents/MacOS/GlobalProtect"
BLOCK, ALLOW = "BLOCKLIST", "ALLOWLIST"
REFUSED = httpx.codes.UNPROCESSABLE_ENTITY
OVERRIDE = {"override_guard": "true"}


@pytest.fixture
def vpn(admin: httpx.Client) -> dict[str, Any]:
    """An essential of the organization."""
    return essential(admin)


def essential(admin: httpx.Client, **fields: object) -> dict[str, Any]:
    body = {"name": "GlobalProtect", "use": "VPN", "rule_type": "SIGNINGID", "identifiers": [VPN]} | fields
    response = admin.post("/api/v1/essentials", json=body)
    assert response.status_code == httpx.codes.CREATED, response.text
    made: dict[str, Any] = response.json()
    return made


def mode(admin: httpx.Client, layer: str, **values: object) -> httpx.Response:
    body = {"values": values or {"client_mode": "LOCKDOWN"}, "locked": []}
    return admin.put(f"/api/v1/settings/layer?layer={layer}", json=body)


def told(response: httpx.Response) -> list[str]:
    """Return the warnings of a change that was made."""
    assert response.is_success, response.text
    found: list[str] = json.loads(response.headers.get("X-Warnings", "[]"))
    return found


def refused(response: httpx.Response) -> str:
    """Return why a change was refused."""
    assert response.status_code == REFUSED, response.text
    problem = response.json()
    assert problem["errors"][-1]["field"] == "override_guard"
    detail: str = problem["detail"]
    assert "override_guard=true" in detail
    return detail


def head(server: RunningServer) -> object:
    return value(server.dsn, "select seq from policy_head")


@pytest.mark.usefixtures("vpn")
def test_lockdown_is_refused_until_a_rule_allows_the_essential(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    before = head(server)
    why = refused(admin.patch("/api/v1/settings", json={"client_mode": "LOCKDOWN"}))
    assert "GlobalProtect (VPN)" in why
    assert f"1 Mac ({mac.hostname})" in why
    assert "no rule allows it, and the mode is LOCKDOWN in global" in why
    assert head(server) == before
    assert mac.sync().settings["client_mode"] == "MONITOR"
    allowing = add_rule(admin, TEAM, ALLOW, rule_type="TEAMID")
    assert told(admin.patch("/api/v1/settings", json={"client_mode": "LOCKDOWN"})) == []
    mac.sync()
    assert "the mode is LOCKDOWN" in refused(admin.delete(f"/api/v1/rules/{allowing}"))
    done = admin.delete(f"/api/v1/rules/{allowing}", params=OVERRIDE)
    assert "would be blocked" in told(done)[0]
    assert value(server.dsn, "select count(*) from audit_log where action = 'guard_overridden'") == 1
    assert value(
        server.dsn, "select summary->'guard_overridden' from policy_change order by seq desc limit 1"
    )


@pytest.mark.usefixtures("vpn")
def test_a_block_is_harmless_where_a_more_specific_rule_allows(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    body = {"rule_type": "TEAMID", "identifier": TEAM, "policy": BLOCK}
    assert f"the TEAMID rule {TEAM} (BLOCKLIST) in global wins" in refused(
        admin.post("/api/v1/rules", json=body)
    )
    specific = add_rule(admin, VPN, ALLOW, rule_type="SIGNINGID")
    assert told(admin.post("/api/v1/rules", json=body)) == []
    changed = admin.patch(f"/api/v1/rules/{specific}", json={"policy": BLOCK})
    assert f"the SIGNINGID rule {VPN} (BLOCKLIST) in global wins" in refused(changed)
    assert "the TEAMID rule" in refused(admin.delete(f"/api/v1/rules/{specific}"))
    soon = admin.patch(
        f"/api/v1/rules/{specific}", json={"policy": ALLOW, "expires_at": "2126-01-01T00:00:00Z"}
    )
    assert "from 2126-01-01 00:00 UTC on" in refused(soon)


@pytest.mark.usefixtures("vpn")
def test_what_begins_later_is_judged_now(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    later = (server.clock() + timedelta(days=1)).isoformat()
    body = {"rule_type": "SIGNINGID", "identifier": VPN, "policy": BLOCK, "starts_at": later}
    assert " UTC on on 1 Mac" in refused(admin.post("/api/v1/rules", json=body))
    made = admin.post("/api/v1/rules", json=body | {"override_guard": True})
    assert made.status_code == httpx.codes.CREATED
    # What was decided is not asked again: not when its time comes, and not by other changes.
    server.clock.advance(days=2)
    mac.sync()
    assert mac.rules["SIGNINGID", VPN][0] == BLOCK
    assert "is blocked already" in told(mode(admin, "global", client_mode="STANDALONE"))[0]


@pytest.mark.usefixtures("vpn")
@pytest.mark.parametrize(
    ("field", "pattern", "bad"),
    [
        ("blocked_path_regex", "^/Applications/GlobalProtect", True),
        ("blocked_path_regex", "^(?!/System/)", True),
        ("blocked_path_regex", "^/Users/", False),
    ],
)
def test_a_path_pattern_is_judged_by_the_paths_of_the_essential(
    admin: httpx.Client, mac: SimulatedMac, vpn: dict[str, Any], field: str, pattern: str, bad: bool
) -> None:
    mac.sync()
    unknown = told(mode(admin, "global", **{field: "^/Volumes/"}))
    assert "may be blocked" in unknown[0]
    done = admin.patch(f"/api/v1/essentials/{vpn['id']}", json={"paths": [PATH]})
    assert told(done) == []
    response = mode(admin, "global", **{field: pattern})
    if bad:
        assert f"{field} in global is {pattern}" in refused(response)
    else:
        assert told(response) == []


@pytest.mark.usefixtures("vpn")
def test_an_allowed_path_is_enough_in_lockdown(
    admin: httpx.Client, mac: SimulatedMac, vpn: dict[str, Any]
) -> None:
    mac.sync()
    admin.patch(f"/api/v1/essentials/{vpn['id']}", json={"paths": [PATH]})
    both = {"client_mode": "LOCKDOWN", "allowed_path_regex": "^/Applications/"}
    assert told(mode(admin, "global", **both)) == []
    assert "the mode is LOCKDOWN" in refused(mode(admin, "global"))


@pytest.fixture
def others(server: RunningServer) -> Iterator[list[SimulatedMac]]:
    """Three more Macs."""
    made = [SimulatedMac(server.url, hostname=f"lab-{n}", serial=f"C02LAB{n}") for n in range(3)]
    for one in made:
        one.sync()
    yield made
    for one in made:
        one.close()


@pytest.mark.usefixtures("vpn")
def test_the_order_of_tags_is_judged(
    admin: httpx.Client, mac: SimulatedMac, others: list[SimulatedMac]
) -> None:
    mac.sync()
    low, high = tag(admin, "low"), tag(admin, "high")
    add_rule(admin, VPN, ALLOW, rule_type="SIGNINGID", layer="tag:high")
    body = {"rule_type": "SIGNINGID", "identifier": VPN, "policy": BLOCK, "layer": "tag:low"}
    assert "any Mac that gets tag:low" in refused(admin.post("/api/v1/rules", json=body))
    add_rule(admin, VPN, BLOCK, rule_type="SIGNINGID", layer="tag:low", override_guard=True)
    for one in (mac, *others[:2]):
        give(admin, high, one)
        give(admin, low, one)
        one.sync()
    why = refused(admin.put("/api/v1/tags/order", json={"tags": [high, low]}))
    assert "3 Macs (" in why
    assert "in tag:low wins" in why
    assert admin.get("/api/v1/tags").json()[0]["id"] == low
    done = admin.put("/api/v1/tags/order", json={"tags": [high, low]}, params=OVERRIDE)
    assert "3 Macs" in told(done)[0]


@pytest.mark.usefixtures("vpn")
def test_membership_is_judged_for_one_mac(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, others: list[SimulatedMac]
) -> None:
    mac.sync()
    strict, rescue = tag(admin, "strict"), tag(admin, "rescue")
    add_rule(admin, TEAM, BLOCK, rule_type="TEAMID", layer="tag:strict", override_guard=True)
    add_rule(admin, VPN, ALLOW, rule_type="SIGNINGID", layer="tag:rescue")
    path = f"/api/v1/tags/{strict}/members/{mac.machine_id}"
    assert f"1 Mac ({mac.machine_id})" in refused(admin.put(path))
    assert value(server.dsn, "select count(*) from tag_member where left_at is null") == 0
    give(admin, rescue, mac)  # it has not synced since
    assert told(admin.put(path)) == []
    leaving = admin.delete(f"/api/v1/tags/{rescue}/members/{mac.machine_id}")
    assert "in tag:strict wins" in refused(leaving)
    other = f"/api/v1/tags/{strict}/members/{others[0].machine_id}"
    assert "would be blocked" in told(admin.put(other, params=OVERRIDE))[0]
    written = """select after->'guard_overridden' from audit_log
                 where action = 'tag_member_added' and object_id = $1"""
    assert value(server.dsn, written, others[0].machine_id)


@pytest.mark.usefixtures("vpn")
@pytest.mark.usefixtures("others")
def test_a_tags_definition_is_judged_by_the_macs_that_it_brings(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    strict = tag(admin, "strict")
    add_rule(admin, VPN, BLOCK, rule_type="SIGNINGID", layer="tag:strict", override_guard=True)
    content = {"name": "strict", "predicate": "hostname.startsWith('lab-')"}
    why = refused(admin.patch(f"/api/v1/tags/{strict}", json=content))
    assert "3 Macs (lab-0, lab-1, lab-2)" in why
    nobody = {"name": "strict", "predicate": "hostname.startsWith('nobody-')", "groups": ["no such group"]}
    assert told(admin.patch(f"/api/v1/tags/{strict}", json=nobody)) == []
    mac.groups = ["Finance"]
    mac.sync()
    assert f"1 Mac ({mac.hostname})" in refused(
        admin.patch(f"/api/v1/tags/{strict}", json={"name": "strict", "groups": ["FINANCE"]})
    )


@pytest.mark.usefixtures("vpn")
def test_a_tag_that_protects_cannot_be_removed_by_mistake(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    rescue = tag(admin, "rescue")
    give(admin, rescue, mac)
    add_rule(admin, VPN, ALLOW, rule_type="SIGNINGID", layer="tag:rescue")
    mac.sync()
    add_rule(admin, TEAM, BLOCK, rule_type="TEAMID", override_guard=True)
    assert "the TEAMID rule" in refused(admin.delete(f"/api/v1/tags/{rescue}"))
    assert value(server.dsn, "select removed_at from tag") is None
    assert admin.delete(f"/api/v1/tags/{rescue}", params=OVERRIDE).status_code == httpx.codes.NO_CONTENT


@pytest.mark.usefixtures("vpn")
def test_an_enrollments_tags_are_judged(admin: httpx.Client) -> None:
    tag(admin, "strict")
    assert mode(admin, "tag:strict").status_code == REFUSED
    assert "any Mac that gets tag:strict" in told(mode(admin, "tag:strict&override_guard=true"))[0]
    response = admin.post("/api/v1/enrollments", json={"label": "lab", "tags": ["strict"]})
    assert "the mode is LOCKDOWN in tag:strict" in refused(response)
    assert [one["label"] for one in admin.get("/api/v1/enrollments").json()["items"]] == ["tests"]
    assert admin.post("/api/v1/enrollments", json={"label": "lab"}).status_code == httpx.codes.CREATED


@pytest.mark.usefixtures("vpn")
@pytest.mark.parametrize(
    ("expression", "severity"),
    [
        ("target.team_id == 'PXPZ95SK77' ? SILENT_BLOCKLIST : ALLOWLIST", "refused"),
        ("false", "refused"),
        ("euid != 0 && false", "refused"),
        ("euid == 0", "uncertain"),
        ("target.team_id == 'PXPZ95SK77'", "nothing"),
    ],
)
def test_an_expression_is_judged_by_what_it_makes_of_the_essential(
    admin: httpx.Client, mac: SimulatedMac, expression: str, severity: str
) -> None:
    mac.sync()
    body = {"rule_type": "TEAMID", "identifier": TEAM, "policy": "CEL", "cel_expr": expression}
    response = admin.post("/api/v1/rules", json=body)
    if severity == "refused":
        assert f"the TEAMID rule {TEAM} (CEL) in global wins" in refused(response)
    else:
        assert [text for text in told(response) if "may be blocked" not in text] == []
        assert bool(told(response)) == (severity == "uncertain")


@pytest.mark.usefixtures("vpn")
def test_an_old_mac_falls_through_to_the_block_below(
    admin: httpx.Client, mac: SimulatedMac, others: list[SimulatedMac]
) -> None:
    mac.santa_version = "2025.5.1"
    mac.sync()
    cel = add_rule(admin, VPN, "CEL", rule_type="SIGNINGID", cel_expr="true", locked=True)
    body = {
        "rule_type": "SIGNINGID",
        "identifier": VPN,
        "policy": BLOCK,
        "layer": f"machine:{others[0].machine_id}",
    }
    assert told(admin.post("/api/v1/rules", json=body)) == []
    body["layer"] = f"machine:{mac.machine_id}"
    assert f"1 Mac ({mac.hostname})" in refused(admin.post("/api/v1/rules", json=body))
    assert admin.get(f"/api/v1/rules/{cel}").status_code == httpx.codes.OK


@pytest.mark.usefixtures("vpn")
def test_a_file_is_judged_as_a_whole_and_before_it_is_imported(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    block = {"rule_type": "TEAMID", "identifier": TEAM, "policy": BLOCK}
    allow = {"rule_type": "SIGNINGID", "identifier": VPN, "policy": ALLOW}

    def imported(rules: list[dict[str, str]], **more: object) -> httpx.Response:
        content = json.dumps({"version": 1, "rules": rules})
        return admin.post("/api/v1/rules/import", json={"format": "json", "content": content, **more})

    plan = imported([block]).json()
    assert "the TEAMID rule" in plan["mistakes"][0]["message"]
    assert plan["mistakes"][0]["line"] == 1
    assert imported([block], dry_run=False).status_code == REFUSED
    assert imported([allow, block]).json()["mistakes"] == []
    assert imported([allow, block], dry_run=False).status_code == httpx.codes.OK
    plan = imported([block], remove_missing=True).json()
    assert "the TEAMID rule" in plan["mistakes"][0]["message"]
    own = block | {"layer": f"machine:{mac.machine_id}"}
    assert imported([own]).json()["mistakes"] == []
    done = imported([block], remove_missing=True, dry_run=False, override_guard=True)
    assert done.json()["removed"] == 1
    assert "would be blocked" in done.json()["warnings"][0]


def test_what_is_blocked_already_is_a_warning(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    add_rule(admin, TEAM, BLOCK, rule_type="TEAMID")
    body = {"name": "GlobalProtect", "rule_type": "SIGNINGID", "identifiers": [VPN]}
    made = admin.post("/api/v1/essentials", json=body)
    assert f"is blocked already on 1 Mac ({mac.hostname})" in told(made)[0]
    again = admin.post("/api/v1/rules", json={"rule_type": "SIGNINGID", "identifier": VPN, "policy": BLOCK})
    assert "is blocked already" in told(again)[0]


def test_an_agent_that_was_seen_needs_a_rule_in_lockdown(
    admin: httpx.Client, mac: SimulatedMac, server: RunningServer
) -> None:
    mac.sync()
    jamf: dict[str, Any] = {"team_id": "483DWKW443", "signing_id": "483DWKW443:com.jamf.management.Jamf"}
    assert told(mode(admin, "global")) == []
    assert told(mode(admin, "global", client_mode="MONITOR")) == []
    mac.block("Jamf", file_sha256="c" * 64, file_path="/Library/Jamf", file_name="Jamf", **jamf)
    assert "Jamf (device management)" in refused(mode(admin, "global"))
    # With a second Mac, the claim of one is not enough.
    second = SimulatedMac(server.url, hostname="second", serial="C02SECOND")
    second.sync()
    assert told(mode(admin, "global")) == []
    second.close()


def test_a_program_of_many_macs_is_worth_a_warning(dsn: str) -> None:
    with RunningServer(dsn, {"WIDELY_USED_MACS": "2"}) as server, server.client() as admin:
        admin.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
        for number in range(3):
            with closing(SimulatedMac(server.url, hostname=f"lab-{number}", serial=f"C02LAB{number}")) as mac:
                mac.sync()
                ran: dict[str, Any] = {"when": server.clock().timestamp(), "decision": "ALLOW_UNKNOWN"}
                mac.block("Tool", file_sha256="f" * 64, team_id="TOOLTOOL00", **ran)
        body = {"rule_type": "BINARY", "identifier": "f" * 64, "policy": BLOCK}
        warning = told(admin.post("/api/v1/rules", json=body))[0]
        assert "Tool (run on 3 Macs in the last 30 days) would be blocked on 3 Macs" in warning
        assert told(admin.post("/api/v1/rules", json=body | {"identifier": "e" * 64})) == []
        team = {"rule_type": "TEAMID", "identifier": "TOOLTOOL00"}
        assert "is blocked already" in told(admin.post("/api/v1/rules", json=body | team))[0]
        execute(server.dsn, "update program set last_seen_at = last_seen_at - interval '31 days'")
        more = {"rule_type": "TEAMID", "identifier": "TOOLTOOL00", "layer": "user:nobody"}
        assert told(admin.post("/api/v1/rules", json=body | more)) == []
