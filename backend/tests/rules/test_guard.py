"""The lock-out check: rules that would make Macs unmanageable need an override."""

from typing import Any

import httpx
import pytest

from santaserver.policy.claims import Claim, Signer, believed
from santaserver.policy.lifelines import AGENTS, KNOWN
from santaserver.policy.lifelines import SANTA as SANTA_ITSELF
from tests.support.postgres import value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

SANTA = "ZMCG7MLDV9"
SEEN: dict[str, Any] = {
    "file_sha256": "c" * 64,
    "team_id": "483DWKW443",
    "signing_id": "483DWKW443:com.jamf.management.Jamf",
    "cdhash": "d" * 40,
    "signing_chain": [{"sha256": "e" * 64, "cn": "Jamf", "org": "JAMF", "ou": "483DWKW443"}],
}


def rule(rule_type: str, identifier: str, policy: str = "BLOCKLIST", **more: object) -> dict[str, object]:
    return {"rule_type": rule_type, "identifier": identifier, "policy": policy, **more}


@pytest.mark.parametrize("essential", [SANTA_ITSELF, *AGENTS], ids=lambda essential: essential.key)
@pytest.mark.parametrize("policy", ["BLOCKLIST", "SILENT_BLOCKLIST", "SILENT_GUI_BLOCKLIST"])
def test_what_a_mac_needs_is_not_blocked_by_error(
    admin: httpx.Client, essential: object, policy: str
) -> None:
    team = essential.team_id  # type: ignore[attr-defined]
    for body in (rule("TEAMID", team, policy), rule("SIGNINGID", f"{team}:any.thing", policy)):
        response = admin.post("/api/v1/rules", json=body)
        assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
        assert {error["field"] for error in response.json()["errors"]} == {"identifier", "override_guard"}
    assert admin.get("/api/v1/rules").json()["items"] == []


def test_a_hash_is_judged_by_the_programs_that_were_seen(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    mac.block("Jamf", **SEEN)
    for kind, identifier in (("BINARY", "c" * 64), ("CDHASH", "d" * 40), ("CERTIFICATE", "e" * 64)):
        response = admin.post("/api/v1/rules", json=rule(kind, identifier))
        assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY, kind
        unknown = identifier.replace(identifier[0], "a")
        assert admin.post("/api/v1/rules", json=rule(kind, unknown)).status_code == httpx.codes.CREATED
    assert value(server.dsn, "select count(*) from rule") == 3


def test_who_means_it_gets_it_and_it_is_written_down(server: RunningServer, admin: httpx.Client) -> None:
    made = admin.post("/api/v1/rules", json=rule("TEAMID", SANTA, override_guard=True))
    assert made.status_code == httpx.codes.CREATED
    assert value(server.dsn, "select after->>'guard_overridden' from audit_log where action = 'rule_created'")


def test_a_change_is_guarded_as_well(admin: httpx.Client) -> None:
    made = admin.post("/api/v1/rules", json=rule("TEAMID", SANTA, "ALLOWLIST")).json()
    changed = admin.patch(f"/api/v1/rules/{made['id']}", json={"policy": "BLOCKLIST"})
    assert changed.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert admin.get(f"/api/v1/rules/{made['id']}").json()["policy"] == "ALLOWLIST"


@pytest.mark.parametrize(
    ("agreeing", "others", "fleet", "stands"),
    [
        ((1,), (), 1, True),
        ((1,), (), 2, False),
        ((1, 2), (), 9, True),
        ((1, 2), (3,), 9, True),
        ((1, 2), (3, 4), 9, False),
        ((1, 2, 3), (3, 4, 5, 6), 9, False),
        ((), (1, 2), 9, False),
        ((), (), 0, False),
    ],
)
def test_a_signature_stands_when_enough_macs_agree(
    agreeing: tuple[int, ...], others: tuple[int, ...], fleet: int, stands: bool
) -> None:
    claims = [Claim(Signer(SANTA, f"{SANTA}:{mac}"), frozenset({mac})) for mac in agreeing]
    claims.append(Claim(Signer("EVILEVIL00", ""), frozenset(others)))
    assert (believed(claims, KNOWN[0], fleet) != []) is stands
