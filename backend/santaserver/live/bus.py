"""Messages to the browsers of this process, and what the other processes are told of them.

A step of a sync reaches only sockets that watch the Mac; of all others, one summary a second is told.
Events come in full while there are few, else as a number. Other processes hear through PostgreSQL's
NOTIFY (live/relay.py), sent outside of the transactions that made the news, so that it never slows a
commit.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from santaserver.clock import Clock, system_clock
from santaserver.live.allowance import Allowance
from santaserver.live.messages import sync_progress
from santaserver.live.recent import Recent
from santaserver.live.steps import checksum, mark_of, marks, step_of
from santaserver.live.subscriber import Audience, Notification, Subscriber
from santaserver.live.tally import Decisions, Tally
from santaserver.outbox import Message

GATHER = 0.1
"""Seconds between the first news after a quiet time and the summary of it."""
EVERY = 1.0
"""Seconds between two summaries."""
SHOWN_PER_SECOND = 8
"""Events in full that one browser gets from all processes together: some 10 kB."""
SHOWN_AT_ONCE = 24

Later = Callable[[float, Callable[[], None]], object]


def _later(delay: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(delay, call)


class Bus:
    """Hands messages to the sockets of this process, and to `forward` for other processes."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall: Clock = system_clock, later: Later = _later
    ) -> None:
        """Start without subscribers."""
        self._clock, self._wall, self._later = clock, wall, later
        self._subscribers: set[Subscriber] = set()
        self._watchers: dict[str, set[Subscriber]] = {}
        """By the checksum of a machine id."""
        self._recent = Recent(clock())
        self._tally = Tally()
        self._shown = Allowance(SHOWN_PER_SECOND, SHOWN_AT_ONCE)
        self._summed_up_at = float("-inf")
        self._waiting = False
        """Whether a summary is on its way."""
        self._number = 0
        self.process = secrets.token_hex(8)
        self.linked = False
        """Whether news of other processes has begun to arrive."""
        self.forward: Callable[[Sequence[Message]], None] | None = None

    @property
    def subscribers(self) -> int:
        """How many sockets are open."""
        return len(self._subscribers)

    def subscribe(self, ago: float | None = None) -> Subscriber:
        """Add a queue; with `ago` it begins with what was told in so many seconds, or is lost."""
        subscriber = Subscriber()
        if ago is not None:
            full = self._recent.full(self._clock() - ago)
            if full is None:
                subscriber.lag()
            for one in full or ():
                if subscriber.wants(one):
                    subscriber.offer(one)
        self._subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a queue."""
        self._subscribers.discard(subscriber)
        self._unwatch(subscriber)

    def watch(
        self, subscriber: Subscriber, machines: Collection[str], *, events: bool, ago: float | None = None
    ) -> None:
        """Replace what a socket wants; with `ago` it gets what it now wants and did not want until then."""
        self._unwatch(subscriber)
        known, had_events = subscriber.machines, subscriber.events
        subscriber.want(machines, events=events)
        for one in subscriber.checksums:
            self._watchers.setdefault(one, set()).add(subscriber)
        if ago is not None:
            since = self._clock() - ago
            self._tell_again(subscriber, subscriber.machines - known, since, every=events and not had_events)

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
            match message["type"]:
                case "sync":
                    self._step(now, mark_of(message), message)
                case "steps":
                    for mark in marks(message["marks"]):
                        self._step(now, mark, None)
                case "event":
                    self._event(now, message)
                case _:
                    self._tell(now, message)
        if self._tally and not self._waiting:
            self._waiting = True
            self._later(max(GATHER, self._summed_up_at + EVERY - now), self.sum_up)

    def lag(self) -> None:
        """Notify the subscribers of this process, present and future, that messages may be missing."""
        self._recent.forget(self._clock())
        for subscriber in self._subscribers:
            subscriber.lag()

    def sum_up(self) -> None:
        """Tell what was counted since the last time."""
        self._waiting = False
        self._summed_up_at = now = self._clock()
        at = self._wall()
        syncs = self._tally.take_syncs(at)
        if syncs is not None:
            self._tell(now, syncs)
        self._sum_up_events(now, at)

    def _sum_up_events(self, now: float, at: datetime) -> None:
        who = {"at": at, "machine_id": "", "hostname": ""}
        hidden, every = self._tally.take_events()
        for audience, decisions in ((Audience.EVENTS, hidden), (Audience.NUMBERS, every)):
            if decisions:
                self._tell(now, self._count(who, decisions), audience)

    def _step(self, now: float, mark: str, message: Message | None) -> None:
        self._tally.step(mark)
        self._recent.keep_briefly(now, mark)
        for subscriber in self._watchers.get(mark[:-1], ()):
            for machine_id in subscriber.checksums[mark[:-1]]:
                named = message if message and message["machine_id"] == machine_id else None
                subscriber.offer(self._progress(mark, machine_id, named))

    def _progress(self, mark: str, machine_id: str, message: Message | None = None) -> Notification:
        if message is None:
            step = step_of(mark[-1])
            message = sync_progress(
                self._wall(),
                machine_id,
                "",
                step.stage,
                step.kind,
                changed=step.changed,
                refused=step.refused,
            )
        return Notification(message, Audience.MACHINE, machine_id)

    def _event(self, now: float, message: Message) -> None:
        """Show an event, or a machine's number of events; without an allowance, an event is a number."""
        event, machine_id = message["event"], message["machine_id"]
        if event is None:
            decisions = message["decisions"]
        else:
            decisions = {event["decision"]: 1}
            if self._shown.take(1, now):
                if self._tally.hidden:  # an event is never told before the number of those before it
                    self._sum_up_events(now, self._wall())
                self._tally.events(decisions, shown=True)
                self._tell(now, message, Audience.FULL, machine_id)
                return
        self._tally.events(decisions, shown=False)
        notification = Notification(self._count(message, decisions), Audience.MACHINE, machine_id)
        self._recent.keep_briefly(now, notification)
        for subscriber in self._watchers.get(checksum(machine_id), ()):
            if subscriber.wants(notification):
                subscriber.offer(notification)

    def _count(self, message: Message, decisions: Decisions) -> Message:
        self._number += 1
        return {
            "type": "event",
            "at": message["at"],
            "machine_id": message["machine_id"],
            "hostname": message["hostname"],
            "event": None,
            "count": sum(decisions.values()),
            "decisions": dict(decisions),
            "number": self._number,
        }

    def _tell(
        self, now: float, message: Message, audience: Audience = Audience.ALL, machine_id: str = ""
    ) -> None:
        notification = Notification(message, audience, machine_id)
        self._recent.keep(now, notification)
        for subscriber in self._subscribers:
            if subscriber.wants(notification):
                subscriber.offer(notification)

    def _tell_again(
        self, subscriber: Subscriber, added: frozenset[str], since: float, *, every: bool
    ) -> None:
        if not (added or every):
            return
        full, brief = self._recent.full(since), self._recent.brief(since)
        if full is None or brief is None:
            subscriber.lag()
            return
        for one in full:
            if one.audience is Audience.FULL and (every or one.machine_id in added):
                subscriber.offer(one)
        for news in brief:
            if isinstance(news, str):
                for machine_id in subscriber.checksums.get(news[:-1], ()):
                    if machine_id in added:
                        subscriber.offer(self._progress(news, machine_id))
            elif news.machine_id in added and subscriber.wants(news):
                subscriber.offer(news)

    def _unwatch(self, subscriber: Subscriber) -> None:
        for one in subscriber.checksums:
            watchers = self._watchers.get(one, set())
            watchers.discard(subscriber)
            if not watchers:
                self._watchers.pop(one, None)
