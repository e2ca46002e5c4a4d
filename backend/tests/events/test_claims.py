"""No single Mac decides who signed a program: each makes one claim, and contradictions are shown."""

import time
from typing import Any

import httpx
import pytest

from santaserver.events import claims
from santaserver.events.pending_claims import MAX_CLAIMS, MAX_MACS
from tests.events.conftest import Fleet
from tests.support.postgres import execute, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

pytestmark = pytest.mark.usefixtures("claims_at_once")

SHA = "c" * 64
CDHASH = "d" * 40
LEAF = "e" * 64
SANTA = "ZMCG7MLDV9"
JAMF = "483DWKW443"
TARGETS = {"BINARY": SHA, "CDHASH": CDHASH, "CERTIFICATE": LEAF}


def signed(team: str, name: str = "tool") -> dict[str, Any]:
    return {
        "team_id": team,
        "signing_id": f"{team}:{name}" if team else "",
        "cdhash": CDHASH,
        "signing_chain": [{"sha256": LEAF, "cn": "Leaf", "org": "Someone", "ou": team}],
    }


UNSIGNED: dict[str, Any] = {"team_id": "", "signing_id": "", "cdhash": CDHASH, "signing_chain": []}
EVIL = signed("EVILEVIL00")


def report(mac: SimulatedMac, facts: dict[str, Any], sha256: str = SHA, **more: object) -> None:
    mac.block("Tool", **{"file_sha256": sha256, **facts, **more})


def stored(server: RunningServer, number: int) -> None:
    """Wait until this many claims of Macs are stored."""
    until = time.monotonic() + 20
    while (found := value(server.dsn, "select count(*) from program_claim_machine")) != number:
        assert time.monotonic() < until, f"{found} claims are stored, not {number}"
        time.sleep(0.02)


def blocked(admin: httpx.Client, kind: str) -> bool:
    """Try to block; tell whether that was allowed."""
    rule = {"rule_type": kind, "identifier": TARGETS[kind], "policy": "BLOCKLIST"}
    response = admin.post("/api/v1/rules", json=rule)
    if response.status_code == httpx.codes.CREATED:
        return True
    assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY, response.text
    assert "override_guard" in response.text
    return False


def program(admin: httpx.Client) -> dict[str, Any]:
    [found] = admin.get("/api/v1/programs", params={"q": SHA}).json()["items"]
    assert admin.get(f"/api/v1/programs/{found['id']}").json() == found
    return dict(found)


def settled(admin: httpx.Client, team: str) -> dict[str, Any]:
    """Wait until the catalog shows what was stored."""
    until = time.monotonic() + 20
    while (shown := program(admin))["team_id"] != team:
        assert time.monotonic() < until, shown
        time.sleep(0.02)
    return shown


@pytest.mark.parametrize("kind", ["BINARY", "CDHASH", "CERTIFICATE"])
@pytest.mark.parametrize("lifeline", [SANTA, JAMF])
def test_one_mac_does_not_make_malware_a_lifeline(
    server: RunningServer, admin: httpx.Client, fleet: Fleet, kind: str, lifeline: str
) -> None:
    for name in ("a", "b", "a"):  # its first claim counts, however often it reports
        report(fleet(0), signed(lifeline, name), pid=ord(name))
    report(fleet(1), EVIL)
    stored(server, 2)
    assert blocked(admin, kind)


def test_the_claim_of_one_mac_of_several_is_not_enough(
    server: RunningServer, admin: httpx.Client, fleet: Fleet
) -> None:
    fleet(1).sync()
    report(fleet(0), signed(SANTA))
    for number in range(30):  # programs of its own that share the certificate
        report(fleet(0), signed(SANTA, f"tool{number}"), sha256=f"{number:064x}", pid=number + 1)
    stored(server, 31)
    assert blocked(admin, "CERTIFICATE")
    assert blocked(admin, "BINARY")


@pytest.mark.parametrize("liar", [EVIL, UNSIGNED], ids=["another team", "unsigned"])
def test_a_lifeline_that_macs_agree_on_stays_guarded(
    server: RunningServer, admin: httpx.Client, fleet: Fleet, liar: dict[str, Any]
) -> None:
    report(fleet(0), liar)
    for number in (1, 2):
        report(fleet(number), signed(JAMF))
    stored(server, 3)
    assert not blocked(admin, "BINARY")
    assert not blocked(admin, "CERTIFICATE")


def test_an_import_is_guarded_alike(server: RunningServer, admin: httpx.Client, fleet: Fleet) -> None:
    def imported(identifier: str) -> int:
        content = f"rule_type,identifier,policy\nBINARY,{identifier},BLOCKLIST\n"
        response = admin.post(
            "/api/v1/rules/import", json={"format": "csv", "content": content, "dry_run": False}
        )
        return response.status_code

    report(fleet(0), signed(SANTA))
    report(fleet(1), EVIL)
    for number in (0, 1):
        report(fleet(number), signed(SANTA), sha256="f" * 64)
    stored(server, 4)
    assert imported("f" * 64) == httpx.codes.UNPROCESSABLE_ENTITY
    assert imported(SHA) == httpx.codes.OK


def test_contradictions_are_shown_and_the_catalog_follows_most_macs(
    server: RunningServer, admin: httpx.Client, fleet: Fleet
) -> None:
    report(fleet(0), signed(SANTA))
    shown = program(admin)  # at once, whether its claim is stored by now or not
    assert shown["team_id"] == SANTA
    assert [(claim["team_id"], claim["macs"]) for claim in shown["claims"]] == [(SANTA, 1)]
    for number in (1, 2, 2):
        report(fleet(number), {**EVIL, "cdhash": "A" * 40, "team_id": "no team"}, pid=number)
    stored(server, 3)
    shown = settled(admin, "")
    assert shown["claims"] == [
        {
            "team_id": "",
            "signing_id": EVIL["signing_id"],
            "cdhash": "a" * 40,
            "certificate_sha256": LEAF,
            "macs": 2,
        },
        {**shown["claims"][1], "team_id": SANTA, "macs": 1},
    ]
    assert (shown["team_id"], shown["signing_id"], shown["cdhash"]) == ("", EVIL["signing_id"], "a" * 40)
    [event, *_] = admin.get("/api/v1/events").json()["items"]
    assert event["signing_id"] == EVIL["signing_id"]
    execute(server.dsn, "delete from machine where machine_id = 'M0'")
    assert [claim["macs"] for claim in program(admin)["claims"]] == [2, 0]


def test_what_is_kept_of_claims_is_bounded(server: RunningServer, admin: httpx.Client, fleet: Fleet) -> None:
    for number in range(MAX_MACS + 3):
        report(fleet(number), EVIL)
    for number in range(100, 100 + MAX_CLAIMS + 3):
        report(fleet(number), signed(SANTA, f"tool{number}"))
    stored(server, MAX_MACS + MAX_CLAIMS - 1)
    shown = program(admin)["claims"]
    assert [shown[0]["macs"], len(shown)] == [MAX_MACS, MAX_CLAIMS]


def test_what_is_known_waits_for_no_statement(server: RunningServer, fleet: Fleet) -> None:
    for number in range(MAX_MACS):
        report(fleet(number), EVIL)
    stored(server, MAX_MACS)
    programs = server.app.state.santa.programs
    until = time.monotonic() + 20
    while not programs.known.get(SHA).settled:
        assert time.monotonic() < until
        time.sleep(0.02)
    for number in (0, 1, 100, 101):
        report(fleet(number), EVIL, pid=7)
        assert not programs.pending.some.is_set()


def test_what_waits_is_stored_when_the_worker_stops(
    server: RunningServer, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "EVERY", 3600)
    monkeypatch.setattr(claims, "LAST_TRY", 30)
    report(fleet(0), EVIL)
    report(fleet(1), EVIL)
    server.stop()
    stored(server, 2)
