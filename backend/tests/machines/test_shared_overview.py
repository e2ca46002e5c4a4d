"""A large fleet is counted once for all pages, a small one for each."""

import asyncio
from datetime import UTC, datetime

import pytest

from santaserver.overview.schemas import EventNumbers, MachineNumbers, ModeNumbers, Overview, RuleNumbers
from santaserver.overview.shared import LONGEST, SMALL, SharedOverview, valid_for


class Fleet:
    """Counts how often it is counted, and how often at a time."""

    def __init__(self, macs: int) -> None:
        self.macs = macs
        self.now = 1000.0
        self.counts = 0
        self.at_a_time = 0
        self.fails = False
        self.shared = SharedOverview(lambda: self.now)

    async def count(self) -> Overview:
        self.counts += 1
        self.at_a_time += 1
        assert self.at_a_time == 1
        number = self.counts
        for _ in range(3):
            await asyncio.sleep(0)  # others ask meanwhile
        self.at_a_time -= 1
        if self.fails:
            raise TimeoutError
        return Overview(
            counted_at=datetime.now(UTC),
            machines=MachineNumbers(
                total=self.macs, in_sync=number, pending=0, overdue=0, never=0, drifted=0, withheld=0
            ),
            rules=RuleNumbers(total=0),
            events=EventNumbers(blocked_24h=0, unknown_24h=0, total_24h=0),
            modes=ModeNumbers(monitor=0, lockdown=0, standalone=0),
            hourly=[],
        )

    async def ask(self) -> int:
        """Return which count was shown."""
        return (await self.shared.read(self.count)).machines.in_sync

    async def ask_many(self, pages: int) -> set[int]:
        return set(await asyncio.gather(*(self.ask() for _ in range(pages))))


@pytest.mark.parametrize("macs", [SMALL, 100_000])
def test_many_pages_cost_one_count(macs: int) -> None:
    fleet = Fleet(macs)

    async def run() -> None:
        assert await fleet.ask_many(50) == {1}, "also the first one, after a start"
        fleet.now += 1.1 * valid_for(macs)
        assert await fleet.ask_many(50) == {2}
        fleet.now += 0.9 * valid_for(macs)
        assert await fleet.ask() == 2
        fleet.now += 0.2 * valid_for(macs)
        assert await fleet.ask() == 3

    asyncio.run(run())


@pytest.mark.parametrize("macs", [0, SMALL - 1])
def test_pages_of_a_small_fleet_that_ask_together_cost_two(macs: int) -> None:
    fleet = Fleet(macs)

    async def run() -> None:
        assert await fleet.ask_many(50) == {1, 2}, "the others asked after the first count had begun"
        assert await fleet.ask_many(50) == {3, 4}

    asyncio.run(run())


def test_a_small_fleet_is_shown_as_it_is_when_it_is_asked_for() -> None:
    fleet = Fleet(10)

    async def run() -> None:
        first = asyncio.create_task(fleet.ask())
        await asyncio.sleep(0)  # the count has begun
        fleet.now += 0.001
        assert await fleet.ask_many(20) == {2}, "who asks later may know of a change that the first missed"
        assert await first == 1
        assert await fleet.ask() == 3

    asyncio.run(run())


def test_a_count_is_valid_for_longer_in_a_larger_fleet_within_bounds() -> None:
    assert valid_for(SMALL - 1) == 0
    assert valid_for(100_000) == 10
    assert valid_for(10_000_000) == LONGEST


def test_whoever_counts_may_leave_or_fail() -> None:
    fleet = Fleet(5_000)

    async def run() -> None:
        fleet.fails = True
        with pytest.raises(TimeoutError):
            await fleet.ask()
        fleet.fails = False
        left, waits = asyncio.create_task(fleet.ask()), asyncio.create_task(fleet.ask())
        await asyncio.sleep(0)
        left.cancel()
        fleet.at_a_time = 0
        assert await waits == 3
        fleet.now += LONGEST
        fleet.fails = True
        with pytest.raises(TimeoutError):
            await fleet.ask()
        fleet.fails = False
        assert await fleet.ask() == 5

    asyncio.run(run())
