"""Tells open browsers about new executions: collected briefly, then read with one statement for all uploads.

The latest executions are sent in full, the others as a number for each Mac, so that uploads stay fast.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from santaserver.clock import Clock
from santaserver.db import Connection, Database
from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.events import repository
from santaserver.events.messages import EventSeen
from santaserver.events.repository import Position
from santaserver.events.shape import digests, show
from santaserver.events.store import Added
from santaserver.live.allowance import Allowance
from santaserver.outbox import Message, Publish, message

log = logging.getLogger(__name__)

GATHER = 0.5
"""Seconds that new executions wait for others."""
PER_SECOND = 20
"""Executions that a process shows in full; more become a number."""


Announced = dict[str, Counter[str]]
"""Executions that were sent in full, by machine id and decision."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was uploaded within a moment."""

    counts: dict[str, Counter[str]]
    """New executions by machine id and decision."""
    hostnames: dict[str, str]
    notable: list[Position]
    """The latest of those to look at."""


def _latest() -> deque[Position]:
    return deque(maxlen=PER_SECOND)


@dataclass
class EventNews:
    """What uploads of this process added, until it is told."""

    some: asyncio.Event = field(default_factory=asyncio.Event)
    _counts: dict[str, Counter[str]] = field(default_factory=dict)
    _hostnames: dict[str, str] = field(default_factory=dict)
    _notable: deque[Position] = field(default_factory=_latest)

    def add(self, machine_id: str, added: Added) -> None:
        """Remember what an upload added."""
        if not added.decisions:
            return
        self._counts.setdefault(machine_id, Counter()).update(added.decisions)
        self._hostnames[machine_id] = added.hostname
        self._notable.extend(added.notable[:PER_SECOND])
        self.some.set()

    def take(self) -> Batch:
        """Return what was added, and forget it."""
        batch = Batch(self._counts, self._hostnames, list(self._notable))
        self._counts, self._hostnames, self._notable = {}, {}, _latest()
        self.some.clear()
        return batch


async def tell_events(database: Database, news: EventNews, publish: Publish, clock: Clock) -> None:
    """Publish what is added until cancelled. Without a database the numbers are told without the events."""
    budget = Allowance(PER_SECOND, PER_SECOND)
    while True:
        await news.some.wait()
        await asyncio.sleep(GATHER)
        batch, now = news.take(), clock()
        shown: list[Message] = []
        announced: Announced = {}
        positions = batch.notable[len(batch.notable) - budget.take(len(batch.notable), now.timestamp()) :]
        if positions:
            try:
                async with database.statements() as connection:
                    shown, announced = await _in_full(connection, positions, now)
            except (DatabaseUnavailable, StatementTimeout):
                log.debug("the newest executions are told as numbers: the database cannot be asked")
            except Exception:
                log.exception("the newest executions are told as numbers: they could not be read")
        publish([*_numbers(batch, announced, now), *shown])


async def _in_full(
    connection: Connection, positions: list[Position], now: datetime
) -> tuple[list[Message], Announced]:
    rows = await repository.events_at(connection, positions)
    certificates = await repository.certificates(connection, digests(rows))
    shown = [
        message(
            EventSeen(
                at=now,
                machine_id=row["machine_id"],
                hostname=row["hostname"],
                event=show(row, certificates),
            )
        )
        for row in rows
    ]
    announced: Announced = {}
    for row in rows:
        announced.setdefault(row["machine_id"], Counter())[row["decision"]] += 1
    return shown, announced


def _numbers(batch: Batch, announced: Announced, now: datetime) -> Iterable[Message]:
    for machine_id, counts in batch.counts.items():
        others = counts - announced.get(machine_id, Counter())
        if others:
            yield message(
                EventSeen(
                    at=now,
                    machine_id=machine_id,
                    hostname=batch.hostnames[machine_id],
                    count=others.total(),
                    decisions=dict(others),
                )
            )
