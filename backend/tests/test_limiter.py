"""Slots are given out fairly, and none is ever lost."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from santaserver.errors import Overloaded
from santaserver.limiter import ConcurrencyLimiter


def test_slots_are_handed_on_in_the_order_of_arrival() -> None:
    async def run() -> list[int]:
        limiter, served = ConcurrencyLimiter("syncs", 1, 10, 5.0), []

        async def visit(number: int) -> None:
            async with limiter.slot():
                served.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(visit(number) for number in range(5)))
        return served

    assert asyncio.run(run()) == [0, 1, 2, 3, 4]


def test_one_too_many_is_turned_away_and_nobody_elses_slot_is_lost() -> None:
    async def run() -> None:
        limiter = ConcurrencyLimiter("syncs", 1, 1, 5.0)
        async with limiter.slot():
            waiting = asyncio.create_task(visit(limiter))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await visit(limiter)
        await waiting
        await visit(limiter)

    async def visit(limiter: ConcurrencyLimiter) -> None:
        async with limiter.slot():
            pass

    asyncio.run(run())


def test_a_slot_that_comes_too_late_goes_to_the_next_one() -> None:
    async def run() -> None:
        limiter = ConcurrencyLimiter("syncs", 1, 5, patience=0.01)
        async with limiter.slot():
            with pytest.raises(Overloaded):
                await visit(limiter)
            given_up = asyncio.create_task(visit(limiter))
            await asyncio.sleep(0)
            given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        await visit(limiter)

    async def visit(limiter: ConcurrencyLimiter) -> None:
        async with limiter.slot():
            pass

    asyncio.run(run())


def test_a_waiter_that_was_admitted_and_cancelled_at_once_passes_its_slot_on() -> None:
    async def run() -> None:
        limiter = ConcurrencyLimiter("syncs", 1, 5, 5.0)
        async with limiter.slot():
            leaving = asyncio.create_task(visit(limiter))
            staying = asyncio.create_task(visit(limiter))
            await asyncio.sleep(0)
            leaving.cancel()
        # The slot was offered to a waiter whose cancellation has not been carried out yet.
        await asyncio.gather(leaving, return_exceptions=True)
        assert leaving.cancelled()
        await asyncio.wait_for(staying, 5)
        await visit(limiter)

    async def visit(limiter: ConcurrencyLimiter) -> None:
        async with limiter.slot():
            pass

    asyncio.run(run())


def test_one_key_cannot_take_all_slots_or_all_turns() -> None:
    async def run() -> list[str]:
        limiter, order = ConcurrencyLimiter("requests", 2, 100, 5.0, per_key=1), []

        async def visit(key: str) -> None:
            async with limiter.slot(key):
                order.append(key)
                await asyncio.sleep(0)

        await asyncio.gather(*(visit(key) for key in ("greedy",) * 20 + ("modest", "other")))
        return order

    order = asyncio.run(run())
    assert len(order) == 22
    assert {"modest", "other"} <= set(order[:6]), order


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), max_size=30),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_whatever_is_cancelled_no_slot_is_lost_or_made(
    visits: list[tuple[int, bool, bool]], slots: int, per_key: int
) -> None:
    async def run() -> None:
        limiter = ConcurrencyLimiter("requests", slots, 100, 5.0, per_key=per_key)
        inside = {0: 0, 1: 0, 2: 0}

        async def visit(key: int) -> None:
            async with limiter.slot(key):
                inside[key] += 1
                assert sum(inside.values()) <= slots
                assert inside[key] <= per_key
                try:
                    await asyncio.sleep(0)
                finally:
                    inside[key] -= 1

        tasks = []
        for key, pause, cancel in visits:
            tasks.append(asyncio.create_task(visit(key)))
            if pause:
                await asyncio.sleep(0)
            if cancel:
                tasks[len(tasks) // 2].cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError)
        await asyncio.wait_for(asyncio.gather(*(visit(0) for _ in range(slots + 2))), 5)

    asyncio.run(run())
