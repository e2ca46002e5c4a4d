"""A large fleet is counted once for all pages, a small one for each."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from santaserver.overview.schemas import EventNumbers, MachineNumbers, ModeNumbers, Overview, RuleNumbers
from santaserver.overview.shared import LONGEST, SMALL, SharedOverview, valid_for

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Fleet:
    """Counts how often it was counted."""

    def __init__(self, macs: int) -> None:
        self.macs = macs
        self.counts = 0

    async def count(self, now: datetime) -> Overview:
        self.counts += 1
        await asyncio.sleep(0)  # others ask meanwhile
        return Overview(
            counted_at=now,
            machines=MachineNumbers(
                total=self.macs, in_sync=self.macs, pending=0, overdue=0, never=0, drifted=0, withheld=0
            ),
            rules=RuleNumbers(total=0),
            events=EventNumbers(blocked_24h=0, unknown_24h=0, total_24h=0),
            modes=ModeNumbers(monitor=0, lockdown=0, standalone=0),
            hourly=[],
        )


@pytest.mark.parametrize(("macs", "counts"), [(0, 102), (SMALL - 1, 102), (SMALL, 3), (100_000, 3)])
def test_many_pages_cost_one_count(macs: int, counts: int) -> None:
    fleet, shared = Fleet(macs), SharedOverview()

    async def ask(pages: int, now: datetime) -> set[datetime]:
        asked = [shared.at(now, lambda: fleet.count(now)) for _ in range(pages)]
        return {overview.counted_at for overview in await asyncio.gather(*asked)}

    async def run() -> None:
        await ask(1, NOW)
        later = NOW + valid_for(macs)
        assert await ask(50, later) == {later}, "what is too old is counted once more, by one"
        await ask(50, later + timedelta(milliseconds=1) if macs else later)
        assert await ask(1, later + 2 * LONGEST) == {later + 2 * LONGEST}

    asyncio.run(run())
    assert fleet.counts == counts


def test_a_count_is_valid_for_longer_in_a_larger_fleet_within_bounds() -> None:
    assert valid_for(SMALL - 1) == timedelta(0)
    assert valid_for(100_000) == timedelta(seconds=5)
    assert valid_for(10_000_000) == LONGEST


def test_a_failed_count_leaves_nothing_behind() -> None:
    fleet, shared = Fleet(5_000), SharedOverview()

    async def fails() -> Overview:
        raise TimeoutError

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await shared.at(NOW, fails)
        assert (await shared.at(NOW, lambda: fleet.count(NOW))).machines.total == fleet.macs
        with pytest.raises(TimeoutError):
            await shared.at(NOW + LONGEST, fails)
        await shared.at(NOW + LONGEST, lambda: fleet.count(NOW + LONGEST))

    asyncio.run(run())
    assert fleet.counts == 2
