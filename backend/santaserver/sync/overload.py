"""How much a process takes on at a time. More is answered 503 at once, so that what was taken is quick.

Syncs and event uploads have limits of their own: a burst of one does not turn the other away. Santa
repeats a 503 after 4, 8, 16 and 32 seconds, and events stay queued on the Mac.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from santaserver.db import EVENT_CONNECTIONS, SYNC_CONNECTIONS
from santaserver.errors import Overloaded
from santaserver.sync.budget import MAX_BODIES, Budget, Sideline

PATIENCE = 5.0
"""Seconds that a request waits for its turn; a Mac gives up on an answer after 30."""


class Gate:
    """Lets a few in, keeps some waiting in their order, and turns the others away."""

    def __init__(self, what: str, seats: int, waiting: int, patience: float = PATIENCE) -> None:
        """Let `seats` in at a time while up to `waiting` wait for at most `patience` seconds."""
        self._what = what
        self._free = seats
        self._room = waiting
        self._patience = patience
        self._queue: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def seat(self) -> AsyncIterator[None]:
        """Hold a seat; raise `Overloaded` when there is none to be had in time."""
        if self._free:
            self._free -= 1
        else:
            await self._wait()
        try:
            yield
        finally:
            self._leave()

    async def _wait(self) -> None:
        if len(self._queue) >= self._room:
            raise Overloaded(self._what)
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave()  # the seat came just when nobody wanted it any more
            else:
                self._queue.remove(turn)
            if isinstance(error, TimeoutError):
                raise Overloaded(self._what) from error
            raise

    def _leave(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


@dataclass(frozen=True)
class Limits:
    """The limits of one process."""

    syncs: Gate = field(default_factory=lambda: Gate("syncs", SYNC_CONNECTIONS, 1000))
    events: Gate = field(default_factory=lambda: Gate("event uploads", EVENT_CONNECTIONS, 200))
    bodies: Budget = field(default_factory=lambda: Budget("large requests", MAX_BODIES))
    sideline: Sideline = field(default_factory=Sideline)
