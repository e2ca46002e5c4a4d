"""Lets work on a thread step back while the event loop, or other processes, need the processor."""

import time
from collections.abc import Callable

LONGEST = 0.05
"""Seconds of one pause at most, so that the work goes on under any load."""
SHORTEST = 0.0005
"""Seconds of waiting that are no reason for a pause: a free processor has such moments too."""


class Pace:
    """Pauses twice as long as its thread has waited for the processor or the interpreter since the last call.

    With a free processor it waited for nothing and never pauses. Where it had to share, syncs go first. It is
    made, and called, on the thread whose work it paces.
    """

    def __init__(
        self,
        cpu: Callable[[], float] = time.thread_time,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin now. `cpu` gives the thread's seconds of computing, `clock` those that passed."""
        self._cpu, self._clock, self._sleep = cpu, clock, sleep
        self._computed, self._passed = cpu(), clock()

    def __call__(self) -> None:
        """Pause if the thread had to wait."""
        waited = self._clock() - self._passed - (self._cpu() - self._computed)
        if waited > SHORTEST:
            self._sleep(min(2 * waited, LONGEST))
        self._computed, self._passed = self._cpu(), self._clock()
