"""Runs worlds in separate processes, and collects the results."""

import asyncio
import gc
import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import uvloop

from santaserver.accounts import create_admin
from santaserver.migrations.runner import migrate
from santaserver.settings import load
from tests.conftest import ADMIN
from tests.model.conditions import hard
from tests.model.stacks import stack
from tests.model.world import World
from tests.model.wrong import WrongError
from tests.support.postgres import Cluster

MACS = 48
"""Macs of a world."""
QUICK = ("jit=off", "plan_cache_mode=force_generic_plan")
"""Settings of PostgreSQL: its time goes into planning, for each connection of each world is a new one."""
SELDOM = (50_000, 20, 20)
"""When cycles of garbage are looked for: a tenth of the time otherwise goes into it."""


@dataclass(frozen=True)
class Wanted:
    """What to run."""

    syncs: int
    """Machine-syncs in all, faulty and quiet ones."""
    seconds: float | None
    """Longest time; worlds that have begun by then are finished."""
    seed: int
    """Of the first world; each further one has the next."""
    world: int
    """Machine-syncs of one world."""
    processes: int
    stacks: tuple[str, ...]
    """The worlds take them in turn."""
    proxy: Path | None

    def stack_of(self, seed: int) -> str:
        """Return what a world runs on."""
        return self.stacks[seed % len(self.stacks)]


@dataclass(frozen=True)
class Outcome:
    """The result of one world, or of several together."""

    worlds: int = 0
    syncs: int = 0
    quiet_syncs: int = 0
    settled: int = 0
    claims: int = 0
    stacks: Counter[str] = field(default_factory=Counter)
    """Machine-syncs by what they went through."""
    kinds: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    posts: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)
    wrong: str = ""

    def __add__(self, other: "Outcome") -> "Outcome":
        """Sum up."""
        return Outcome(
            self.worlds + other.worlds,
            self.syncs + other.syncs,
            self.quiet_syncs + other.quiet_syncs,
            self.settled + other.settled,
            self.claims + other.claims,
            self.stacks + other.stacks,
            self.kinds + other.kinds,
            self.faults + other.faults,
            self.reasons + other.reasons,
            self.posts + other.posts,
            self.compared + other.compared,
            self.wrong or other.wrong,
        )


def run_world(dsn: str, seed: int, wanted: Wanted) -> Outcome:
    """Run one world in this process."""
    logging.disable(logging.CRITICAL)
    name = wanted.stack_of(seed)
    world = World(lambda clock: stack(name, dsn, clock, wanted.proxy), seed, MACS)
    wrong = ""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(world.run(wanted.world))
    except* (WrongError, AssertionError) as errors:
        wrong = f"seed {seed}, {name}: " + "\n".join(told(error) for error in errors.exceptions)
    return Outcome(
        1,
        world.syncs,
        world.quiet_syncs,
        world.settled,
        world.claims,
        Counter({name: world.syncs}),
        world.kinds,
        world.faults,
        world.reasons,
        world.posts,
        world.compared,
        wrong,
    )


def told(error: BaseException) -> str:
    """Return an error with its notes."""
    return "\n".join([str(error) or repr(error), *getattr(error, "__notes__", ())])


def prepare_process() -> None:
    """Make a worker's server one under hard conditions."""
    hard(setattr)
    gc.freeze()
    gc.set_threshold(*SELDOM)


def run_all(wanted: Wanted) -> Iterator[Outcome]:
    """Run worlds until there were enough syncs or the time is over; yield each as it ends."""
    cluster = Cluster(*QUICK)
    try:
        template = cluster.create()
        asyncio.run(migrate(cluster.dsn(template)))
        asyncio.run(create_admin(load({"DATABASE_URL": cluster.dsn(template)}), *ADMIN))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(wanted.processes, context, prepare_process) as pool:
            yield from _outcomes(wanted, cluster, template, pool)
    finally:
        cluster.stop()


def _outcomes(
    wanted: Wanted, cluster: Cluster, template: str, pool: ProcessPoolExecutor
) -> Iterator[Outcome]:
    end = None if wanted.seconds is None else time.monotonic() + wanted.seconds
    seeds, begun = count(wanted.seed), 0
    running: dict[Future[Outcome], str] = {}
    while True:
        while len(running) < wanted.processes and begun < wanted.syncs and not over(end):
            name = cluster.create(template)
            running[pool.submit(run_world, cluster.dsn(name), next(seeds), wanted)] = name
            begun += wanted.world
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            cluster.drop(running.pop(future))
            yield future.result()


def over(end: float | None) -> bool:
    """Tell whether a moment has passed."""
    return end is not None and time.monotonic() >= end
