"""The long form: `python -m tests.model --syncs 1000000`. Worlds of one seed each, some at the same time.

Exit code 0 when no Mac was ever wrong; 1 with the first wrong one and the seed that leads there.
"""

import argparse
import asyncio
import logging
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass

import uvloop

from santaserver.accounts import create_admin
from santaserver.migrations.runner import migrate
from santaserver.settings import load
from santaserver.sync import delta
from tests.conftest import ADMIN
from tests.model.world import World, WrongError
from tests.support.postgres import Cluster

PAGE_SIZE = 3


@dataclass(frozen=True)
class Outcome:
    """What became of one world."""

    seed: int
    syncs: int
    settled: int
    kinds: Counter[str]
    wrong: str = ""


def run_world(dsn: str, seed: int, syncs: int) -> Outcome:
    """Run one world in this process."""
    logging.disable(logging.CRITICAL)
    delta.PAGE_SIZE = PAGE_SIZE
    world = World(dsn, seed)
    wrong = ""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(world.run(syncs))
    except* (WrongError, AssertionError) as errors:
        wrong = "; ".join(str(error) for error in errors.exceptions)
    return Outcome(seed, world.syncs, world.settled, world.kinds, wrong)


def main() -> int:
    """Run worlds until there were enough machine-syncs."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--syncs", type=int, default=1_000_000, help="machine-syncs in all")
    parser.add_argument("--world", type=int, default=10_000, help="machine-syncs of one world")
    parser.add_argument("--seed", type=int, default=1000, help="seed of the first world")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    worlds = -(-options.syncs // options.world)
    cluster = Cluster()
    began = time.monotonic()
    done, settled, kinds = 0, 0, Counter[str]()
    try:
        template = cluster.create()
        asyncio.run(migrate(cluster.dsn(template)))
        asyncio.run(create_admin(load({"DATABASE_URL": cluster.dsn(template)}), *ADMIN))
        for first in range(0, worlds, options.processes):
            seeds = range(options.seed + first, options.seed + min(first + options.processes, worlds))
            names = [cluster.create(template) for _ in seeds]
            work = [(cluster.dsn(name), seed, options.world) for name, seed in zip(names, seeds, strict=True)]
            with multiprocessing.get_context("spawn").Pool(len(work)) as pool:
                outcomes = pool.starmap(run_world, work)
            for outcome in outcomes:
                done, settled, kinds = done + outcome.syncs, settled + outcome.settled, kinds + outcome.kinds
                if outcome.wrong:
                    sys.stdout.write(f"seed {outcome.seed}: {outcome.wrong}\n")
                    return 1
            for name in names:
                cluster.drop(name)
            rate = done / (time.monotonic() - began)
            sys.stdout.write(
                f"{done} machine-syncs, {settled} settled Macs, 0 wrong, {rate:.0f}/s {dict(kinds)}\n"
            )
            sys.stdout.flush()
    finally:
        cluster.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
