"""An overloaded server rejects requests at once instead of becoming slow."""

import zlib

import httpx
import pytest

from santaserver.bodies import MAX_BODIES, MemoryBudget
from santaserver.errors import Overloaded
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


def test_a_budget_is_given_back() -> None:
    budget = MemoryBudget("bodies", 10)
    budget.take(8)
    with pytest.raises(Overloaded):
        budget.take(3)
    budget.give_back(8)
    budget.take(10)


def test_full_event_uploads_do_not_turn_syncs_away(server: RunningServer, mac: SimulatedMac) -> None:
    limits = server.app.state.santa.limits
    limits.events._free, limits.events._room = 0, 0
    refused = mac.post_raw("eventupload", b'{"events":[]}')
    assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert int(refused.headers["retry-after"]) > 0
    assert mac.sync().kind == "CLEAN"


def test_full_syncs_do_not_turn_events_away(server: RunningServer, mac: SimulatedMac) -> None:
    limits = server.app.state.santa.limits
    limits.syncs._free, limits.syncs._room = 0, 0
    assert mac.post_raw("preflight", b"{}").status_code == httpx.codes.SERVICE_UNAVAILABLE


def test_a_bomb_is_refused_by_the_server_and_costs_others_nothing(
    server: RunningServer, mac: SimulatedMac
) -> None:
    bomb = zlib.compress(b"\0" * 200_000_000, 9)
    with httpx.Client(base_url=server.url) as client:
        for stage in ("preflight", "eventupload"):
            response = client.post(
                f"/api/santa/{stage}/M", content=bomb, headers={"Content-Encoding": "deflate"}
            )
            assert response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
            assert "batch_size" in response.json()["detail"]
    assert server.app.state.santa.limits.bodies._left == MAX_BODIES
    assert mac.sync().kind == "CLEAN"
