"""Request bodies: their memory budget, receiving them, and the thread that parses large ones."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Self, TypeVar

from starlette.types import Receive

from santaserver.errors import BadRequest, Overloaded, TooLarge

MAX_BODIES = 40 * 1024 * 1024
"""Bytes of request bodies that are held at the same time: as they came, and decompressed."""

ADVICE = "If this persists, lower batch_size or raise full_sync_interval in the settings"

ResultT = TypeVar("ResultT")


class MemoryBudget:
    """Bytes that may be held at the same time; bodies are received on the event loop and read beside it."""

    def __init__(self, what: str, size: int) -> None:
        """A budget of `size` bytes."""
        self._what = what
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Use some; raise `Overloaded` when there are not enough."""
        with self._lock:
            if size > self._left:
                raise Overloaded(self._what, ADVICE)
            self._left -= size

    def give_back(self, size: int) -> None:
        """Return some."""
        with self._lock:
            self._left += size


class Reservation:
    """The part of a budget that one request holds; all of it is released at the end of the request."""

    def __init__(self, budget: MemoryBudget) -> None:
        """Begin with nothing."""
        self._budget = budget
        self.size = 0

    def take(self, size: int) -> None:
        """Hold more."""
        self._budget.take(size)
        self.size += size

    def give_back(self, size: int) -> None:
        """Hold less."""
        self._budget.give_back(size)
        self.size -= size

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release everything."""
        self.give_back(self.size)


class WorkerThread:
    """One thread for large bodies: the event loop stays free, and only one body at a time is parsed."""

    def __init__(self, name: str = "large bodies") -> None:
        """Prepare; the thread starts with the first work."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        """Do the work there and return what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Let the thread end; work that has not begun is dropped."""
        self._thread.shutdown(wait=False, cancel_futures=True)


async def received(receive: Receive, hold: Reservation, limit: int, refusal: str) -> bytes:
    """Return the body as it came, which `hold` holds of the budget."""
    pieces: BytesIO | None = None
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The connection closed before the body was complete")
        piece: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        hold.take(len(piece))
        if hold.size > limit:
            raise TooLarge(refusal)
        if pieces is None:
            if not more:
                return piece
            pieces = BytesIO()
        pieces.write(piece)
    return pieces.getvalue() if pieces else b""
