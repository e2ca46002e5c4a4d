"""What open consoles cost beside the syncs: `python -m tests.bench.live`; no database, no network.

One process's bus gets the steps of 167 syncs a second (100,000 Macs each 600 s) and some events. Rounds
with and without consoles alternate, on a clock that is moved by hand: the CPU time of a second of such a
fleet, and the bytes that one browser gets in it.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from santaserver.live.bus import Bus
from santaserver.live.messages import sync_progress
from santaserver.live.subscriber import Notification, Subscriber
from santaserver.outbox import Message

SECONDS = 60
ROUNDS = 4
SYNCS = 167
EVENTS = 12
CONSOLES = 50
WATCHED = 50
AT = datetime(2026, 1, 2, tzinfo=UTC)
EVENT = {"decision": "BLOCK_UNKNOWN", "text": "x" * 1_200}


class Clock:
    """Seconds, and what is due in them."""

    def __init__(self) -> None:
        """Start at the beginning."""
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        """Return the moment."""
        return self.now

    def later(self, delay: float, call: Callable[[], None]) -> None:
        """Keep a call."""
        self.due.append((self.now + delay, call))

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        ready = [call for at, call in self.due if at <= self.now]
        self.due = [(at, call) for at, call in self.due if at > self.now]
        for call in ready:
            call()


def second(bus: Bus, clock: Clock, number: int) -> None:
    """Publish what a second of the fleet brings."""
    for step in range(SYNCS):
        machine = f"bench-{(number * SYNCS + step) % 100_000}"
        for stage in ("preflight", "postflight"):
            told = sync_progress(AT, machine, f"{machine}.example.com", stage, "normal", changed=False)
            bus.publish([told])
        if step < EVENTS:
            bus.publish([event(machine)])
        clock.tick(1 / SYNCS)


def event(machine: str) -> Message:
    """Return an execution as large as most are."""
    return {"type": "event", "at": AT, "machine_id": machine, "hostname": "", "event": EVENT, "count": 1}


def drain(subscriber: Subscriber) -> int:
    """Return the bytes of what waits."""
    news = list(iter(subscriber.take, None))
    return sum(len(one.text) for one in news if isinstance(one, Notification))


def measure(consoles: int) -> tuple[float, list[float]]:
    """Return CPU seconds for each second, and bytes a second of each console."""
    clock = Clock()
    bus = Bus(clock, lambda: AT, clock.later)
    pages = [bus.subscribe() for _ in range(consoles)]
    for number, page in enumerate(pages):  # overview or events, a list of Macs, and others, in turn
        first = number * 200
        machines = [f"bench-{first + place}" for place in range(WATCHED)] if number % 3 == 1 else []
        bus.watch(page, machines, events=number % 3 == 0)
    sizes = [0] * consoles
    began = time.process_time()
    for number in range(SECONDS):
        second(bus, clock, number)
        for place, page in enumerate(pages):
            sizes[place] += drain(page)
    return (time.process_time() - began) / SECONDS, [size / SECONDS for size in sizes]


def main() -> None:
    """Measure in alternation and write the result as JSON."""
    without, beside, sizes = [], [], [0.0]
    for _ in range(ROUNDS):
        without.append(measure(0)[0])
        cpu, sizes = measure(CONSOLES)
        beside.append(cpu)
    result = {
        "consoles": CONSOLES,
        "cpu_percent_without": round(100 * min(without), 3),
        "cpu_percent_with": round(100 * min(beside), 3),
        "bytes_per_second_largest": round(max(sizes)),
        "bytes_per_second_mean": round(sum(sizes) / len(sizes)),
    }
    print(json.dumps(result))  # noqa: T201 - the result


if __name__ == "__main__":
    main()
