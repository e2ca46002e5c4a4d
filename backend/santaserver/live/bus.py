"""Messages to the browsers of this worker, and hints to the other workers.

Subscribers have bounded queues: one that does not keep up loses messages and gets one notice of that. The
last messages are kept, so that a browser that reconnects, or has just loaded its page, gets what it missed
instead of reloading everything. Other workers are notified through PostgreSQL's NOTIFY (live/relay.py), sent
outside of the transactions of the changes, so that it never slows a commit.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence

from santaserver.outbox import Message

QUEUE_SIZE = 256
KEPT = QUEUE_SIZE
"""Messages that are kept for browsers that come back."""


class Subscriber:
    """One open socket's queue."""

    def __init__(self) -> None:
        """Start empty."""
        self._queue: deque[Message] = deque()
        self._news = asyncio.Event()
        self._lagged = False

    def offer(self, message: Message) -> None:
        """Queue a message, or note that one was lost."""
        if len(self._queue) >= QUEUE_SIZE:
            self._lagged = True
        else:
            self._queue.append(message)
        self._news.set()

    def lag(self) -> None:
        """Note that messages were lost elsewhere on the way."""
        self._lagged = True
        self._news.set()

    async def next(self) -> Message | None:
        """Return the next message; None when some were lost, and then the queued ones are void too."""
        while not self._queue and not self._lagged:
            self._news.clear()
            await self._news.wait()
        if self._lagged:
            self._lagged = False
            self._queue.clear()
            return None
        return self._queue.popleft()


class Bus:
    """Hands messages to every subscriber of this process, and to `forward` for other processes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without subscribers."""
        self._clock = clock
        self._subscribers: set[Subscriber] = set()
        self._recent: deque[tuple[float, Message]] = deque()
        self._complete_since = clock()
        """From then on, `_recent` has everything."""
        self.forward: Callable[[Sequence[Message]], None] | None = None

    def subscribe(self, ago: float | None = None) -> Subscriber:
        """Add a queue; with `ago` it starts with the messages of the last `ago` seconds, or with "lagged"."""
        subscriber = Subscriber()
        if ago is not None:
            since = self._clock() - ago
            if since < self._complete_since:
                subscriber.lag()
            for at, message in self._recent:
                if at >= since:
                    subscriber.offer(message)
        self._subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a queue."""
        self._subscribers.discard(subscriber)

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages to all subscribers; call it after the commit."""
        if messages:
            self.deliver(messages)
            if self.forward is not None:
                self.forward(messages)

    def deliver(self, messages: Sequence[Message]) -> None:
        """Send messages to the subscribers of this process only."""
        now = self._clock()
        for message in messages:
            self._keep(now, message)
            for subscriber in self._subscribers:
                subscriber.offer(message)

    def lag(self) -> None:
        """Notify the subscribers of this process, present and future, that messages may be missing."""
        self._recent.clear()
        self._complete_since = self._clock()
        for subscriber in self._subscribers:
            subscriber.lag()

    def _keep(self, now: float, message: Message) -> None:
        if len(self._recent) >= KEPT:
            self._complete_since = max(
                self._complete_since, math.nextafter(self._recent.popleft()[0], math.inf)
            )
        self._recent.append((now, message))
