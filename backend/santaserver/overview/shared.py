"""One count of the fleet for all open pages of a process.

A Mac becomes overdue by the mere passing of time, so exact counters would need a write for each sync, which
would cost more than counting: the fleet is counted, but in a large one only every few seconds, however many
pages ask, and never twice at the same time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from santaserver.overview.schemas import Overview

SMALL = 1_000
"""Macs that are counted for each request."""
MACS_A_SECOND = 10_000
LONGEST = 30.0


def valid_for(macs: int) -> float:
    """Return for how many seconds a count is shown: counting takes less than 1 % of that time."""
    return 0.0 if macs < SMALL else min(macs / MACS_A_SECOND, LONGEST)


class SharedOverview:
    """The last count; who asks while one is made waits for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without one. The clock is not the system's, which may be set back."""
        self._clock = clock
        self._counting = asyncio.Lock()
        self._begun = 0
        """Counts so far, with the one under way."""
        self._last: Overview | None = None
        self._last_number = 0
        self._last_began_at = 0.0

    async def read(self, count: Callable[[], Awaitable[Overview]]) -> Overview:
        """Return a count that is recent enough, or began after this call."""
        begun_before = self._begun
        if self._last is not None and self._is_recent(self._last):
            return self._last
        async with self._counting:
            if self._last is not None and (self._last_number > begun_before or self._is_recent(self._last)):
                return self._last
            self._begun += 1
            began_at = self._clock()
            self._last = await count()
            self._last_number, self._last_began_at = self._begun, began_at
            return self._last

    def _is_recent(self, overview: Overview) -> bool:
        return self._clock() - self._last_began_at < valid_for(overview.machines.total)
