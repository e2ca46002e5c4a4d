"""A server with too much to do says so at once instead of being slow for everybody."""

import asyncio
import zlib

import httpx
import pytest

from santaserver.errors import Overloaded
from santaserver.sync.budget import MAX_BODIES, Budget
from santaserver.sync.overload import Gate
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


def test_seats_are_handed_on_in_the_order_of_arrival() -> None:
    async def run() -> list[int]:
        gate, served = Gate("syncs", 1, 10), []

        async def visit(number: int) -> None:
            async with gate.seat():
                served.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(visit(number) for number in range(5)))
        return served

    assert asyncio.run(run()) == [0, 1, 2, 3, 4]


def test_one_too_many_is_turned_away_and_nobody_elses_seat_is_lost() -> None:
    async def run() -> None:
        gate = Gate("syncs", 1, 1)
        async with gate.seat():
            waiting = asyncio.create_task(visit(gate))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await visit(gate)
        await waiting
        await visit(gate)

    async def visit(gate: Gate) -> None:
        async with gate.seat():
            pass

    asyncio.run(run())


def test_a_seat_that_comes_too_late_goes_to_the_next_one() -> None:
    async def run() -> None:
        gate = Gate("syncs", 1, 5, patience=0.01)
        async with gate.seat():
            with pytest.raises(Overloaded):
                await visit(gate)
            given_up = asyncio.create_task(visit(gate))
            await asyncio.sleep(0)
            given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        await visit(gate)

    async def visit(gate: Gate) -> None:
        async with gate.seat():
            pass

    asyncio.run(run())


def test_a_budget_is_given_back() -> None:
    budget = Budget("bodies", 10)
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
            answer = client.post(
                f"/api/santa/{stage}/M", content=bomb, headers={"Content-Encoding": "deflate"}
            )
            assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
            assert "batch_size" in answer.json()["detail"]
    assert server.app.state.santa.limits.bodies._left == MAX_BODIES
    assert mac.sync().kind == "CLEAN"
