"""One open socket: what it wants to hear, and what waits to be sent to it."""

import asyncio
from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

import msgspec

from santaserver.instruments import Counter
from santaserver.live.steps import checksum
from santaserver.outbox import Message

QUEUE_SIZE = 256
LOST = Counter(
    "live_messages_lost_total",
    "Live messages that an open page did not get because it was too slow; it loads again instead.",
)


class Audience(Enum):
    """Which sockets hear a message."""

    ALL = "all"
    FULL = "events in full, or this machine"
    MACHINE = "this machine, and not all events"
    EVENTS = "events in full"
    NUMBERS = "only the numbers of events"


class Notification:
    """A message and who hears it."""

    __slots__ = ("_text", "audience", "machine_id", "message")

    def __init__(self, message: Message, audience: Audience = Audience.ALL, machine_id: str = "") -> None:
        """Keep it as it is."""
        self.message = message
        self.audience = audience
        self.machine_id = machine_id
        self._text: str | None = None

    @property
    def text(self) -> str:
        """What is sent, made once for all sockets."""
        if self._text is None:
            self._text = msgspec.json.encode(self.message).decode()
        return self._text


class Lost(NamedTuple):
    """Messages that a socket does not get; None when nobody knows how many."""

    messages: int | None


class Subscriber:
    """A bounded queue. One that does not keep up loses everything in it, and is told how much."""

    def __init__(self) -> None:
        """Start empty; before the first `watch`, every event is wanted in full."""
        self.events = True
        self.machines: frozenset[str] = frozenset()
        self.checksums: dict[str, list[str]] = {}
        """The ids of watched machines by their checksum."""
        self._queue: deque[Notification] = deque()
        self._news = asyncio.Event()
        self._lagged = False
        self._lost = 0
        self._uncounted = False

    def want(self, machines: Iterable[str], *, events: bool) -> None:
        """Replace what is wanted."""
        self.events = events
        self.machines = frozenset(machines)
        self.checksums = {}
        for machine in self.machines:
            self.checksums.setdefault(checksum(machine), []).append(machine)

    def wants(self, notification: Notification) -> bool:
        """Tell whether a message is for this socket."""
        audience = notification.audience
        if audience is Audience.ALL:
            return True
        if audience is Audience.EVENTS:
            return self.events
        if audience is Audience.NUMBERS:
            return not self.events
        watched = notification.machine_id in self.machines
        return watched or self.events if audience is Audience.FULL else watched and not self.events

    def offer(self, notification: Notification) -> None:
        """Queue a message, or count it as lost with all that wait."""
        if self._lagged:
            self._lost += 1
            LOST.add()
        elif len(self._queue) >= QUEUE_SIZE:
            self._lagged = True
            self._lost += len(self._queue) + 1
            LOST.add(number=len(self._queue) + 1)
            self._queue.clear()
        else:
            self._queue.append(notification)
        self._news.set()

    def lag(self) -> None:
        """Note that messages were lost elsewhere on the way, nobody knows how many."""
        self._lagged = self._uncounted = True
        self._queue.clear()
        self._news.set()

    def take(self) -> Notification | Lost | None:
        """Return the next message, or how many were lost; None when there is nothing."""
        if self._lagged:
            lost = Lost(None if self._uncounted else self._lost)
            self._lagged = self._uncounted = False
            self._lost = 0
            return lost
        return self._queue.popleft() if self._queue else None

    async def next(self) -> Notification | Lost:
        """Wait for what `take` returns."""
        while (news := self.take()) is None:
            self._news.clear()
            await self._news.wait()
        return news
