"""Limits concurrent requests; the others wait in a fair order, in which each key gets its turn.

A request that cannot be admitted in time gets `Overloaded`, which is a 503.
"""

import asyncio
import time
from collections.abc import Hashable
from types import TracebackType

from santaserver.errors import Overloaded
from santaserver.instruments import Buckets

Turn = asyncio.Future[None]

WAITS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: the bounds of the distribution of waits."""


class ConcurrencyLimiter:
    """Slots, and a queue for each key; a slot that becomes free goes to the keys in rotation."""

    def __init__(
        self,
        what: str,
        slots: int,
        waiting: int,
        patience: float,
        per_key: int | None = None,
        waiting_per_key: int | None = None,
        advice: str = "",
    ) -> None:
        """Admit `slots` at a time, `per_key` of one key; `waiting` more wait for up to `patience` seconds.

        Of those, `waiting_per_key` may belong to one key, so that no key fills the queue. `advice` is part of
        the error message.
        """
        self._what = what
        self._advice = advice
        self._free = slots
        self._per_key = slots if per_key is None else per_key
        self._counts = per_key is not None
        """Whether it matters how many slots a key holds."""
        self._room = waiting
        self._room_per_key = waiting if waiting_per_key is None else waiting_per_key
        self._patience = patience
        self._waiting = 0
        self.waits = Buckets(WAITS)
        """How long requests waited that got no slot at once."""
        self.refused = 0
        """Requests that found no room to wait, or no slot in time."""
        self._held: dict[Hashable, int] = {}
        self._queues: dict[Hashable, dict[Turn, None]] = {}

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return self._waiting

    def slot(self, key: Hashable = None) -> "Slot":
        """Return what holds a slot as a context manager; it raises `Overloaded` like `acquire`."""
        return Slot(self, key)

    async def acquire(self, key: Hashable = None) -> None:
        """Take a slot; raise `Overloaded` when none becomes free in time."""
        if self._free and not self._counts:
            self._free -= 1
        elif self._free and self._held.get(key, 0) < self._per_key:
            self._admit(key)
        else:
            await self._wait(key)

    def release(self, key: Hashable = None) -> None:
        """Release a slot."""
        self._free += 1
        if self._counts:
            left = self._held[key] - 1
            if left:
                self._held[key] = left
            else:
                del self._held[key]
        if self._queues:
            self._hand_out()

    async def _wait(self, key: Hashable) -> None:
        if self._waiting >= self._room or len(self._queues.get(key, ())) >= self._room_per_key:
            self.refused += 1
            raise Overloaded(self._what, self._advice)
        turn: Turn = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(key, {})
        queue[turn] = None
        self._waiting += 1
        began_at = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.release(key)  # admitted just when the caller was canceled
            else:
                queue.pop(turn, None)
                if not queue and self._queues.get(key) is queue:
                    del self._queues[key]
            if isinstance(error, TimeoutError):
                self.refused += 1
                raise Overloaded(self._what, self._advice) from error
            raise
        finally:
            self._waiting -= 1
            self.waits.observe(time.monotonic() - began_at)

    def _admit(self, key: Hashable) -> None:
        self._free -= 1
        if self._counts:
            self._held[key] = self._held.get(key, 0) + 1

    def _hand_out(self) -> None:
        for key in list(self._queues):
            if not self._free:
                return
            if self._held.get(key, 0) >= self._per_key:
                continue
            queue = self._queues.pop(key)
            while queue:
                turn = next(iter(queue))
                del queue[turn]
                if not turn.done():
                    self._admit(key)
                    turn.set_result(None)
                    break
            if queue:
                self._queues[key] = queue  # after the other keys


class Slot:
    """A slot as a context manager. A class: a generator would cost each sync a hundredth of its time."""

    __slots__ = ("_key", "_limiter")

    def __init__(self, limiter: ConcurrencyLimiter, key: Hashable) -> None:
        """Prepare; the slot is taken on entering."""
        self._limiter = limiter
        self._key = key

    async def __aenter__(self) -> None:
        """Take it."""
        await self._limiter.acquire(self._key)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it."""
        self._limiter.release(self._key)
