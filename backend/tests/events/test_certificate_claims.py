"""No Mac alone decides the name of a certificate, or which bundle a program belongs to."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.events.conftest import Fleet
from tests.support.postgres import execute, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

pytestmark = pytest.mark.usefixtures("claims_at_once")

SHA = "c" * 64
LEAF, ROOT = "e" * 64, "f" * 64
BUNDLE = "b" * 64
HONEST: dict[str, Any] = {
    "sha256": LEAF,
    "cn": "Developer ID Application: Org",
    "org": "Org",
    "ou": "EQHXZ8M8AV",
}
LIES: dict[str, dict[str, Any]] = {
    "organization": {**HONEST, "org": "Apple Inc."},
    "common name": {**HONEST, "cn": "Developer ID Application: North Pole Security"},
    "unit": {**HONEST, "ou": "ZMCG7MLDV9"},
    "validity": {**HONEST, "valid_until": 1_900_000_000},
    "no names": {"sha256": LEAF},
    "newline": {**HONEST, "cn": f"{HONEST['cn']}\nOrg", "org": "EQHXZ8M8AV", "ou": ""},
}
APP = {"file_bundle_id": "com.example.app", "file_bundle_name": "App", "file_bundle_version_string": "1.0"}


def report(mac: SimulatedMac, leaf: dict[str, Any], sha256: str = SHA, **more: Any) -> None:  # noqa: ANN401
    """Report a program, with an undisputed root certificate."""
    root = {"sha256": ROOT, "cn": "Root"}
    mac.block("Tool", **{"file_sha256": sha256, "signing_chain": [leaf, root], **more})


def stored(server: RunningServer, table: str, number: int) -> None:
    """Wait until this many claims of Macs are stored."""
    until = time.monotonic() + 20
    while (found := value(server.dsn, f"select count(*) from {table}_claim_machine")) != number:  # noqa: S608
        assert time.monotonic() < until, f"{found} claims are stored, not {number}"
        time.sleep(0.02)


def settled(admin: httpx.Client, path: str, fits: Callable[[Any], object]) -> Any:  # noqa: ANN401
    """Wait until what is shown fits."""
    until = time.monotonic() + 20
    while not fits(shown := admin.get(path).json()["items"][0]):
        assert time.monotonic() < until, shown
        time.sleep(0.02)
    return shown


def names(claimed: list[dict[str, Any]]) -> list[tuple[str, str, str, int]]:
    return [(claim["cn"], claim["org"], claim["ou"], claim["macs"]) for claim in claimed]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("liar_comes", ["first", "last"])
def test_most_macs_decide_the_name_of_a_certificate(
    server: RunningServer, admin: httpx.Client, fleet: Fleet, lie: str, liar_comes: str
) -> None:
    macs = [LIES[lie], HONEST, HONEST] if liar_comes == "first" else [HONEST, HONEST, LIES[lie]]
    for number, leaf in enumerate(macs):
        report(fleet(number), leaf, pid=number)
        stored(server, "certificate", 2 * (number + 1))
    event = settled(
        admin,
        "/api/v1/events",
        lambda event: len(claimed := event["signing_chain"][0]["claims"]) == 2 and claimed[0]["macs"] == 2,
    )
    leaf, root = event["signing_chain"]
    assert {name: leaf[name] for name in HONEST} == HONEST
    assert (event["publisher"], root["claims"]) == ("Org", [])
    lied = LIES[lie]
    assert names(leaf["claims"]) == [
        (HONEST["cn"], "Org", HONEST["ou"], 2),
        (lied.get("cn", ""), lied.get("org", ""), lied.get("ou", ""), 1),
    ]
    [program] = admin.get("/api/v1/programs").json()["items"]
    assert program["publisher"] == "Org"
    assert program["certificate_claims"] == leaf["claims"]


def test_a_liar_has_one_claim_however_many_programs_it_invents(
    server: RunningServer, admin: httpx.Client, fleet: Fleet
) -> None:
    for number in range(30):
        report(fleet(0), LIES["organization"], sha256=f"{number:064x}", pid=number)
    for number in (1, 2):
        report(fleet(number), HONEST)
    stored(server, "certificate", 6)
    event = settled(admin, "/api/v1/events?q=" + SHA, lambda event: event["publisher"] == "Org")
    assert [claim["macs"] for claim in event["signing_chain"][0]["claims"]] == [2, 1]


def test_what_all_macs_report_alike_is_no_contradiction(
    server: RunningServer, admin: httpx.Client, fleet: Fleet
) -> None:
    for number in range(3):
        report(fleet(number), {**HONEST, "sha256": LEAF.upper() if number else LEAF}, **APP)
    stored(server, "certificate", 6)
    stored(server, "program_bundle", 3)
    [program] = admin.get("/api/v1/programs").json()["items"]
    assert (program["publisher"], program["bundle_name"]) == ("Org", "App")
    assert program["certificate_claims"] == program["bundle_claims"] == []


def test_a_certificate_that_another_mac_brings_later_is_shown(admin: httpx.Client, fleet: Fleet) -> None:
    report(fleet(0), {"sha256": "a" * 64, "org": "Other"})
    for number in (1, 2):
        report(fleet(number), HONEST)
    event = settled(admin, "/api/v1/events", lambda event: event["certificate_sha256"] == LEAF)
    assert event["publisher"] == "Org"


@pytest.mark.parametrize(
    "lie", [{"file_bundle_name": "Safari"}, {"file_bundle_id": "com.apple.Safari"}, None]
)
@pytest.mark.parametrize("liar_comes", ["first", "last"])
def test_most_macs_decide_the_bundle_of_a_program(
    server: RunningServer, admin: httpx.Client, fleet: Fleet, lie: dict[str, str] | None, liar_comes: str
) -> None:
    lied = {**APP, **lie} if lie else {}
    macs = [lied, APP, APP] if liar_comes == "first" else [APP, APP, lied]
    for number, bundle in enumerate(macs):
        report(fleet(number), HONEST, pid=number, **bundle)
        stored(server, "program_bundle", number + 1)
    program = settled(
        admin,
        "/api/v1/programs",
        lambda program: [claim["macs"] for claim in program["bundle_claims"]] == [2, 1],
    )
    shown = (program["bundle_id"], program["bundle_name"], program["bundle_version"])
    assert shown == ("com.example.app", "App", "1.0")
    assert program["bundle_claims"][1]["bundle_name"] == lied.get("file_bundle_name", "")
    assert admin.get("/api/v1/events").json()["items"][0]["bundle_name"] == "App"


def test_most_macs_decide_how_many_programs_a_bundle_has(server: RunningServer, fleet: Fleet) -> None:
    for number, count in enumerate((1, 3, 3)):
        report(fleet(number), HONEST, pid=number, file_bundle_hash=BUNDLE, file_bundle_binary_count=count)
    stored(server, "bundle", 3)
    until = time.monotonic() + 20
    while value(server.dsn, "select binary_count from bundle") != 3:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_claims_of_a_mac_that_is_deleted_count_no_more(
    server: RunningServer, admin: httpx.Client, fleet: Fleet
) -> None:
    report(fleet(0), LIES["organization"])
    report(fleet(1), HONEST)
    stored(server, "certificate", 4)
    execute(server.dsn, "delete from machine where machine_id = 'M0'")
    event, *_ = admin.get("/api/v1/events").json()["items"]
    assert [claim["macs"] for claim in event["signing_chain"][0]["claims"]] == [1, 0]
