"""What one process tells its sockets, second by second."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from santaserver.live.bus import SHOWN_AT_ONCE, Bus
from santaserver.live.messages import sync_progress
from santaserver.live.recent import BRIEFLY, KEPT
from santaserver.live.steps import Stage, mark_of
from santaserver.live.subscriber import QUEUE_SIZE, Lost, Notification, Subscriber
from santaserver.outbox import Message

AT = datetime(2026, 1, 2, tzinfo=UTC)


class Seconds:
    """A clock that is moved by hand, and what was to be called later."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    def later(self, delay: float, call: Callable[[], None]) -> None:
        self.due.append((self.now + delay, call))

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        ready = [call for at, call in self.due if at <= self.now]
        self.due = [(at, call) for at, call in self.due if at > self.now]
        for call in ready:
            call()


def made() -> tuple[Bus, Seconds]:
    seconds = Seconds()
    return Bus(seconds, lambda: AT, seconds.later), seconds


def rule(number: int | str) -> Message:
    return {"type": "rule", "n": number}


def step(machine: str, stage: Stage = "postflight", **facts: bool) -> Message:
    return sync_progress(
        AT,
        machine,
        f"{machine}.example",
        stage,
        "normal",
        changed=facts.get("changed", False),
        refused=facts.get("refused", False),
    )


def seen(machine: str, decision: str = "BLOCK_UNKNOWN", count: int = 0) -> Message:
    """One event in full, or so many that are only counted."""
    return {
        "type": "event",
        "at": AT,
        "machine_id": machine,
        "hostname": machine,
        "event": None if count else {"id": 1, "decision": decision},
        "count": count or 1,
        "decisions": {decision: count} if count else {},
        "number": None,
    }


def received(subscriber: Subscriber) -> list[Any]:
    """Return what a socket is told now: messages, and what was lost."""

    news = iter(subscriber.take, None)
    return [one.message if isinstance(one, Notification) else one for one in news]


def test_syncs_are_summed_up_once_a_second() -> None:
    bus, seconds = made()
    page = bus.subscribe()
    bus.publish([step("A", "preflight"), step("A", changed=True), step("B", "preflight")])
    assert received(page) == []
    seconds.pass_by(0.2)
    (first,) = received(page)
    assert first == {
        "type": "syncs",
        "at": AT,
        "machines": 2,
        "started": 2,
        "finished": 1,
        "refused": 0,
        "changed": 1,
        "kinds": {"normal": 2, "clean": 0, "clean_all": 0},
    }
    for _ in range(50):
        bus.publish([step("B", refused=True)])
        seconds.pass_by(0.015)
    assert received(page) == [], "not twice in a second"
    seconds.pass_by(0.5)
    (second,) = received(page)
    assert (second["machines"], second["finished"], second["refused"], second["changed"]) == (1, 0, 50, 1)
    seconds.pass_by(10)
    assert received(page) == [], "nothing is told when nothing happens"


def test_single_syncs_reach_only_who_watches_the_machine() -> None:
    bus, _ = made()
    page, other = bus.subscribe(), bus.subscribe()
    bus.watch(page, ["A", "B"], events=False)
    bus.publish([step("A", "preflight"), step("C")])
    bus.deliver([{"type": "steps", "marks": mark("B", refused=True) + mark("C")}])  # of another process
    first, second = received(page)
    assert first == step("A", "preflight")
    assert (second["machine_id"], second["hostname"], second["refused"]) == ("B", "", True)
    assert received(other) == []
    bus.watch(page, ["C"], events=False)
    bus.publish([step("A"), step("C")])
    assert [news["machine_id"] for news in received(page)] == ["C"]
    bus.unsubscribe(page)
    bus.publish([step("C")])
    assert received(page) == []


def mark(machine: str, **facts: bool) -> str:
    return mark_of(step(machine, "postflight", **facts))


def test_machines_whose_ids_have_the_same_checksum_are_both_told() -> None:
    one, two = "plumless", "buckeroo"  # CRC-32 of both is 4ddb0c25
    bus, _ = made()
    page = bus.subscribe()
    bus.watch(page, [one, two], events=False)
    bus.publish([step(one)])
    assert sorted(news["machine_id"] for news in received(page)) == sorted([one, two])


def test_what_a_page_missed_between_its_reading_and_its_watching_is_told() -> None:
    bus, seconds = made()
    seconds.pass_by(1)
    page = bus.subscribe()
    bus.watch(page, [], events=False)
    bus.publish([step("A"), seen("A"), seen("A", count=3), step("B"), seen("B", count=7)])
    seconds.pass_by(0.05)
    bus.watch(page, ["A"], events=False, ago=0.1)
    news = received(page)
    assert [message["type"] for message in news] == ["event", "sync", "event"]
    assert [message["count"] for message in news if message["type"] == "event"] == [1, 3]
    bus.watch(page, ["A"], events=False, ago=0.1)
    assert received(page) == [], "only what is new is told again"
    bus.watch(page, ["A", "B"], events=False, ago=0.1)
    assert [message["machine_id"] for message in received(page)] == ["B", "B"]
    seconds.pass_by(BRIEFLY + 1)
    bus.publish([step("A")])
    bus.watch(page, ["A", "B", "C"], events=False, ago=BRIEFLY + 2)
    assert received(page)[0] == Lost(None), "not everything since then is known"


@pytest.mark.parametrize("uploads", [[3] * 10, [1] * 300, [232, 232]])
def test_no_event_of_a_burst_is_left_out(uploads: list[int]) -> None:
    bus, seconds = made()
    shows_all, counts, machine = bus.subscribe(), bus.subscribe(), bus.subscribe()
    bus.watch(counts, [], events=False)
    bus.watch(machine, ["A"], events=False)
    totals = {"all": 0, "counts": 0, "machine": 0}
    for number, size in enumerate(uploads):
        name = "A" if number % 3 == 0 else "B"
        bus.publish([seen(name) for _ in range(size)] + [seen(name, "ALLOW_TEAMID", 2)])
        seconds.pass_by(0.01)
        totals["all"] += sum(news["count"] for news in received(shows_all))
        totals["machine"] += sum(news["count"] for news in received(machine) if news["machine_id"] == "A")
        totals["counts"] += sum(news["count"] for news in received(counts))
    seconds.pass_by(2)
    totals["all"] += sum(news["count"] for news in received(shows_all))
    totals["counts"] += sum(news["count"] for news in received(counts))
    expected = sum(uploads) + 2 * len(uploads)
    assert totals["all"] == totals["counts"] == expected
    assert totals["machine"] == sum(size + 2 for size in uploads[::3])


def test_a_browser_gets_few_events_in_full_from_all_processes_together() -> None:
    bus, seconds = made()
    page = bus.subscribe()
    bus.deliver([seen(f"M{number}") for number in range(100)])
    seconds.pass_by(1)
    news = received(page)
    assert [message["event"] is None for message in news] == [False] * SHOWN_AT_ONCE + [True]
    assert (news[-1]["count"], news[-1]["decisions"]) == (76, {"BLOCK_UNKNOWN": 76})
    numbers = [message["number"] for message in news if message["event"] is None]
    assert len(numbers) == 1


def test_a_slow_reader_is_told_how_much_it_lost() -> None:
    bus, _ = made()
    slow = bus.subscribe()
    bus.publish([rule(number) for number in range(QUEUE_SIZE + 1)])
    bus.publish([rule("later")])
    assert received(slow) == [Lost(QUEUE_SIZE + 2)]
    bus.publish([rule("after")])
    assert received(slow) == [rule("after")]
    bus.publish([rule("before")])
    bus.lag()
    bus.publish([rule("after")])
    assert received(slow) == [Lost(None)], "what was lost elsewhere nobody can count"


def test_a_browser_that_comes_back_is_told_what_it_missed() -> None:
    bus, seconds = made()
    for number in range(5):
        seconds.pass_by(1)
        bus.publish([rule(number)])
    assert received(bus.subscribe(2.5)) == [rule(n) for n in (2, 3, 4)]
    quiet = bus.subscribe(0.5 - 1e-9)
    bus.publish([rule(5)])
    assert received(quiet) == [rule(4), rule(5)]
    assert received(bus.subscribe(10)) == [Lost(None)], "it was away before this worker began"
    for number in range(KEPT):
        bus.publish([rule(number)])
    seconds.pass_by(1)
    assert received(bus.subscribe(1.5)) == [Lost(None)], "more was told than is kept"
    bus.publish([rule("last")])
    assert received(bus.subscribe(0)) == [rule("last")]
    bus.lag()
    seconds.pass_by(1)
    assert received(bus.subscribe(1.5)) == [Lost(None)], "another worker's news was lost"
