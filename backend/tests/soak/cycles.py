"""The run: cycles of load and faults, each ended idle; first without, then with the end of processes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from tests.soak import checks
from tests.soak.faults import FAULTS, INSTANCES, Fault, Scene
from tests.soak.outcomes import Problem, Window, quantile
from tests.soak.system import Held, System
from tests.soak.traffic import Journal, Machine, Writer, load, on_new_connections
from tests.soak.trends import LEAST_POINTS
from tests.support.santa_client import SimulatedMac

STEADY = 0.6
"""Share of the time in which no process ends, so that a leak shows."""
CYCLES = 3 * LEAST_POINTS // 2
"""Least cycles of that time: the first third warms up."""
LONGEST, SHORTEST = 15.0, 2.0
"""Seconds of load in a cycle."""
IDLE = 3.0
"""About the seconds that an idle point takes."""
CALM = 1.0
"""Seconds without a problem after which a fault is over."""
PATIENCE = 20.0
"""Seconds after which it counts as over although it is not calm."""
WRITERS, MACHINES, PAGES = 3, 8, 6


@dataclass(frozen=True)
class Point:
    """What was seen at the end of one cycle."""

    answered: int
    p50: float
    p99: float
    """Seconds, of responses that came while nothing was wrong."""
    held: dict[str, Held]
    steady: bool


@dataclass
class Seen:
    """All that a run has seen; judged by `judge.py`."""

    seed: int
    began: float
    points: list[Point] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Of the invariants at idle points."""
    acknowledged: int = 0
    unknown: int = 0
    syncs: int = 0
    executions: int = 0
    checkpoints: int = 0


def shuffled(faults: tuple[Fault, ...], chance: Random) -> Iterator[Fault]:
    """Yield faults at random, each as often as the others."""
    while True:
        yield from chance.sample(faults, len(faults))


class Soak:
    """One run on a chain that someone else has started."""

    def __init__(self, system: System, seed: int) -> None:
        """Prepare everything that the seed decides."""
        self.system = system
        self.chance = Random(seed)
        self.journal = Journal()
        self.seen = Seen(seed, time.monotonic())
        self.writers = [
            Writer(system, self.journal, number, Random(self.chance.random())) for number in range(WRITERS)
        ]
        self.machines = [Machine(self._mac(), self.journal) for _ in range(MACHINES)]
        self.reference = self._mac()
        self.notes: list[str] = []

    def _mac(self) -> SimulatedMac:
        machine_id = f"{self.chance.getrandbits(128):032X}"
        return SimulatedMac(
            self.system.url, secret=self.system.secret, machine_id=machine_id, transport=on_new_connections()
        )

    def run(self, seconds: float) -> Iterator[Point]:
        """Go on for about so long; yield each idle point."""
        self.system.set_instances(INSTANCES)
        self.system.make_durable()
        for machine in self.machines:
            machine.mac.sync()
        length = min(LONGEST, max(SHORTEST, STEADY * seconds / CYCLES - IDLE))
        kept = tuple(fault for fault in FAULTS if fault.keeps)
        steady = shuffled(kept, self.chance)
        everything = shuffled(FAULTS, self.chance)
        while len(self.seen.points) < CYCLES or self._passed() < STEADY * seconds:
            yield self._cycle(length, steady, 1, steady=True)
        while self._passed() < seconds:
            yield self._cycle(length, everything, 2, steady=False)

    def _passed(self) -> float:
        return time.monotonic() - self.seen.began

    def _cycle(self, length: float, faults: Iterator[Fault], number: int, *, steady: bool) -> Point:
        ends = time.monotonic() + length
        answered = self.journal.answered
        self.journal.seconds = []
        with load(self.system, self.journal, self.writers, self.machines, PAGES):
            for _ in range(number):
                time.sleep(length / (number + 2))
                self._suffer(next(faults))
            time.sleep(max(0.0, ends - time.monotonic()))
        seconds = self.journal.seconds
        self.seen.problems = self.journal.problems
        self._check()
        point = Point(
            self.journal.answered - answered,
            quantile(seconds, 0.5),
            quantile(seconds, 0.99),
            self.system.held(),
            steady,
        )
        self.seen.points.append(point)
        return point

    def _suffer(self, fault: Fault) -> None:
        self.journal.fault = fault.name
        begun = time.monotonic()
        fault_ended = fault.happen(Scene(self.system, self.journal, self.chance))
        deadline = time.monotonic() + PATIENCE
        ready = self.system.until_ready(INSTANCES, PATIENCE)
        if not ready:
            self.seen.wrong.append(f"{fault.name}: not every part is ready again after {PATIENCE:g} s")
        calm_since = time.monotonic()
        while (now := time.monotonic()) < min(deadline, max(calm_since, self.journal.last_problem()) + CALM):
            time.sleep(min(0.05, deadline - now))
        self.seen.windows.append(
            Window(fault.name, fault.explains, fault.limit, begun, fault_ended, time.monotonic())
        )
        self.journal.fault = ""

    def _check(self) -> None:
        """Hold everything to what must be true now that nobody writes."""
        found = checks.rules_of_writers(self.writers)
        found += checks.rule_sets(self.machines, self.reference, self.writers)
        found += checks.executions(self.system, self.machines)
        self.notes.append(checks.checkpoint(self.writers[0].client))
        self.seen.wrong += [f"cycle {len(self.seen.points) + 1}: {text}" for text in found]

    def finish(self) -> Seen:
        """Verify the audit log, add up and let go."""
        self.seen.wrong += checks.audit_log(self.writers[0].client, self.notes)
        self.seen.acknowledged = sum(writer.ledger.acknowledged for writer in self.writers)
        self.seen.unknown = sum(writer.ledger.unknown for writer in self.writers)
        self.seen.syncs = sum(machine.syncs for machine in self.machines)
        self.seen.executions = sum(len(machine.accepted) for machine in self.machines)
        self.seen.checkpoints = len(self.notes)
        for machine in self.machines:
            machine.mac.close()
        self.reference.close()
        for writer in self.writers:
            writer.client.close()
        return self.seen
