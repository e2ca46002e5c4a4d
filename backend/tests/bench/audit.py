"""What the audit log costs a rule change, and how many changes a second there can be.

`python -m tests.bench.audit [SECONDS]` prints, for 1 and 8 writers on connections of their own, changes per
second and the median of a change: with the audit log, and with a function in its place that does nothing. The
database is durable, as in production; one process, no HTTP.
"""

import asyncio
import statistics
import sys
import time
from pathlib import Path

from santaserver.audit import Actor
from santaserver.clock import system_clock
from santaserver.database_settings import DatabaseSettings
from santaserver.db import Database
from santaserver.migrations.runner import migrate
from santaserver.outbox import discard
from santaserver.rules.schemas import RuleCreate
from santaserver.rules.service import create_rule
from santaserver.scope import EVERYWHERE
from tests.support import postgres
from tests.support.postgres import Cluster, execute

ACTOR = Actor("bench")
TURNS = 2
NOTHING = """
create or replace function audit_append(entries text[], salts bytea[], details text[]) returns bigint
language sql as 'select 0::bigint'
"""


async def changes(dsn: str, writers: int, seconds: float, first: int) -> list[float]:
    """Return how long each change took."""
    database = Database(DatabaseSettings.model_validate({"DATABASE_URL": dsn}))
    until = time.monotonic() + seconds
    spent: list[float] = []
    numbers = iter(range(first, first + 10**6))

    async def write(writer: int) -> None:
        while time.monotonic() < until:
            rule = RuleCreate.model_validate(
                {"rule_type": "BINARY", "identifier": f"{next(numbers):064x}", "policy": "BLOCKLIST"}
            )
            began = time.monotonic()
            async with database.unit_of_work(discard, writer) as work:
                await create_rule(work, EVERYWHERE, rule, ACTOR, system_clock())
            spent.append(time.monotonic() - began)

    try:
        await asyncio.gather(*(write(writer) for writer in range(writers)))
    finally:
        await database.close()
    return spent


def main(seconds: float) -> None:
    """Measure alternately and print."""
    postgres.FAST = ("max_connections=100",)  # type: ignore[assignment] # with fsync, as in production
    postgres.MEMORY = Path("/nonexistent")  # on a disk
    cluster = Cluster()
    try:
        dsns = [cluster.dsn(cluster.create()) for _ in range(2)]
        for dsn in dsns:
            asyncio.run(migrate(dsn))
        execute(dsns[1], NOTHING)
        for turn in range(TURNS):
            for writers in (1, 8):
                for name, dsn in zip(("audit log", "none"), dsns, strict=True):
                    spent = asyncio.run(changes(dsn, writers, seconds, (turn * 10 + writers) * 10**6))
                    rate, median = len(spent) / seconds, statistics.median(spent) * 1e3
                    sys.stdout.write(
                        f"{writers} writers, {name:9}: {rate:5.0f} changes/s, p50 {median:5.1f} ms\n"
                    )
    finally:
        cluster.stop()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
