"""Messages to the browsers of this worker, and hints to the other workers.

Subscribers have bounded queues: one that does not keep up loses messages and is told so once.
Other workers hear through PostgreSQL's NOTIFY (live/relay.py), sent outside of the transactions
that made the news, so that it never slows a commit.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from santaserver.live.outbox import Message

QUEUE_SIZE = 256


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

    def __init__(self) -> None:
        """Start without subscribers."""
        self._subscribers: set[Subscriber] = set()
        self.forward: Callable[[Sequence[Message]], None] | None = None

    def subscribe(self) -> Subscriber:
        """Add a queue."""
        subscriber = Subscriber()
        self._subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a queue."""
        self._subscribers.discard(subscriber)

    def publish(self, messages: Sequence[Message]) -> None:
        """Tell everybody; call it after the commit."""
        if messages:
            self.deliver(messages)
            if self.forward is not None:
                self.forward(messages)

    def deliver(self, messages: Sequence[Message]) -> None:
        """Tell the subscribers of this process only."""
        for subscriber in self._subscribers:
            for message in messages:
                subscriber.offer(message)

    def lag(self) -> None:
        """Tell the subscribers of this process that messages may be missing."""
        for subscriber in self._subscribers:
            subscriber.lag()
