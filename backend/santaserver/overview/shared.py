"""One count of the fleet for all open pages of a process.

A Mac becomes overdue by the mere passing of time, so exact counters would need a write for each sync; the
fleet is counted instead, but in a large one only every few seconds, however many pages ask.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from santaserver.overview.schemas import Overview

SMALL = 1_000
"""Macs that are counted for each request."""
MACS_A_SECOND = 20_000
LONGEST = timedelta(seconds=30)


def valid_for(macs: int) -> timedelta:
    """Return how long a count is shown: it takes some 1 % of that time."""
    return timedelta(0) if macs < SMALL else min(timedelta(seconds=macs / MACS_A_SECOND), LONGEST)


class SharedOverview:
    """The last count; who asks while it is made waits for it."""

    def __init__(self) -> None:
        """Start without one."""
        self._last: Overview | None = None
        self._counting = asyncio.Lock()

    async def at(self, now: datetime, count: Callable[[], Awaitable[Overview]]) -> Overview:
        """Return a count that is recent enough at `now`."""
        known = self._recent(now)
        if known is not None:
            return known
        if self._last is None or self._last.machines.total < SMALL:
            self._last = await count()
            return self._last
        async with self._counting:
            known = self._recent(now)
            if known is None:
                known = self._last = await count()
        return known

    def _recent(self, now: datetime) -> Overview | None:
        last = self._last
        if last is None or now - last.counted_at >= valid_for(last.machines.total):
            return None
        return last
