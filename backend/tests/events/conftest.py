"""Macs whose claims about programs are stored at once."""

from collections.abc import Callable, Iterator

import pytest

from santaserver.events import claims
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

Fleet = Callable[[int], SimulatedMac]


@pytest.fixture
def claims_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let claims be stored at once."""
    monkeypatch.setattr(claims, "EVERY", 0.01)


@pytest.fixture
def fleet(server: RunningServer) -> Iterator[Fleet]:
    """Macs by number."""
    made: dict[int, SimulatedMac] = {}

    def mac(number: int) -> SimulatedMac:
        if number not in made:
            made[number] = SimulatedMac(server.url, machine_id=f"M{number}", serial=f"S{number}")
        return made[number]

    yield mac
    for one in made.values():
        one.close()
