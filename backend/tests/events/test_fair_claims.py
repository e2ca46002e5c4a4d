"""Macs that invent programs endlessly do not prevent others' claims from being stored."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from santaserver.events import claims
from tests.support.postgres import value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

Fleet = Callable[..., SimulatedMac]

HONEST = 5
PROGRAMS = 3
"""Programs that each honest Mac reports."""


@pytest.fixture(autouse=True)
def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is stored before the worker stops, but then everything that waits."""
    monkeypatch.setattr(claims, "EVERY", 3600)
    monkeypatch.setattr(claims, "LAST_TRY", 30)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """Macs of one of several workers, by name."""
    made: dict[tuple[str, str], SimulatedMac] = {}

    def mac(server: RunningServer, name: str) -> SimulatedMac:
        key = (server.url, name)
        if key not in made:
            made[key] = SimulatedMac(server.url, machine_id=name, serial=name)
        return made[key]

    yield mac
    for one in made.values():
        one.close()


def event(sha256: int, name: str) -> dict[str, Any]:
    return {
        "file_sha256": f"{sha256:064x}",
        "file_name": name,
        "execution_time": 1_763_900_000.5,
        "decision": "BLOCK_UNKNOWN",
        "team_id": "EQHXZ8M8AV",
        "signing_id": f"EQHXZ8M8AV:{name}",
        "signing_chain": [{"sha256": f"{sha256:064x}", "cn": "Leaf", "org": "Someone"}],
    }


def invent(mac: SimulatedMac, number: int, first: int) -> None:
    """Report this many invented programs."""
    for start in range(first, first + number, 2000):
        batch = [event(2**200 + one, "invented") for one in range(start, min(start + 2000, first + number))]
        mac.post("eventupload", {"machine_id": mac.machine_id, "events": batch})


def report(mac: SimulatedMac) -> None:
    """Report the programs that every honest Mac has."""
    batch = [event(one, f"tool{one}") for one in range(PROGRAMS)]
    mac.post("eventupload", {"machine_id": mac.machine_id, "events": batch})


def honest_claims(server: RunningServer) -> int:
    """Count what is stored of honest Macs' claims."""
    return int(
        value(
            server.dsn,
            """select count(*) from program_claim_machine c join machine m on m.id = c.machine_id
               where m.machine_id like 'honest%'""",
        )
    )


def test_a_mac_with_ten_thousand_programs_keeps_no_other_waiting(server: RunningServer, fleet: Fleet) -> None:
    invent(fleet(server, "hostile"), 10_000, first=0)
    for number in range(HONEST):
        report(fleet(server, f"honest{number}"))
    server.stop()
    assert honest_claims(server) == HONEST * PROGRAMS


def test_ten_macs_that_go_on_inventing_keep_no_other_waiting(server: RunningServer, fleet: Fleet) -> None:
    for number in range(HONEST):
        for mac in range(10):
            invent(fleet(server, f"hostile{mac}"), 100, first=10_000 * mac + 100 * number)
        report(fleet(server, f"honest{number}"))
    server.stop()
    assert honest_claims(server) == HONEST * PROGRAMS


def test_each_of_several_workers_is_fair(server: RunningServer, fleet: Fleet) -> None:
    with RunningServer(server.dsn) as other:
        for one in (server, other):
            invent(fleet(one, "hostile"), 2000, first=0)
        for number in range(HONEST):
            report(fleet((server, other)[number % 2], f"honest{number}"))
        other.stop()
    server.stop()
    assert honest_claims(server) == HONEST * PROGRAMS
