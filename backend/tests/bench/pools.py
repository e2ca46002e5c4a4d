"""The cost of acquiring a connection: the server's own pool and asyncpg's, in this process on one PostgreSQL.

`python -m tests.bench.pools` prints, for requests that acquire a connection for one small query, how many
complete in a second, the CPU time of one, and how many of the first hundred fail after PostgreSQL has ended
every connection.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg

from santaserver.db import SYNC_CONNECTIONS, TRUSTED_FOR, open_connection
from santaserver.postgres.pool import Pool, PoolLimits
from tests.support.postgres import Cluster

SECONDS = 1.5
ROUNDS = 3
CLIENTS = SYNC_CONNECTIONS
AFTERWARDS = 100
QUERY = "select seq from policy_head"
END_ALL = """select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid()"""

Acquire = Callable[[], AbstractAsyncContextManager[Any]]
Pools = dict[str, Acquire]


async def pools(dsn: str) -> Pools:
    """Return the pools by name."""

    async def as_it_is(_: object) -> None:
        """Do not reset a released connection, like the server's own pool."""

    limits = PoolLimits("requests", SYNC_CONNECTIONS, 1000, 5.0, check_after=TRUSTED_FOR)
    sizes = {"min_size": 0, "max_size": SYNC_CONNECTIONS}
    usual = await asyncpg.create_pool(dsn, **sizes)
    bare = await asyncpg.create_pool(dsn, reset=as_it_is, **sizes)
    return {
        "own": Pool(lambda: open_connection(dsn), limits).connection,
        "asyncpg": usual.acquire,
        "asyncpg, reset left out": bare.acquire,
    }


async def ask(acquire: Acquire) -> None:
    """Do one request."""
    async with acquire() as acquired:
        connection: Any = getattr(acquired, "raw", acquired)
        await connection.fetchval(QUERY)


async def measure(acquire: Acquire) -> tuple[float, float]:
    """Return requests per second, and microseconds of CPU for each."""
    done = 0
    end = time.monotonic() + SECONDS

    async def client() -> None:
        nonlocal done
        while time.monotonic() < end:
            await ask(acquire)
            done += 1

    await ask(acquire)
    cpu = time.process_time()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return done / SECONDS, (time.process_time() - cpu) / done * 1e6


async def failures(acquire: Acquire, dsn: str) -> int:
    """Return how many requests fail after all connections were ended."""
    await asyncio.gather(*(ask(acquire) for _ in range(CLIENTS)))
    admin = await asyncpg.connect(dsn)
    await admin.execute(END_ALL)
    await admin.close()
    failed = 0
    for _ in range(AFTERWARDS):
        try:
            await ask(acquire)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            failed += 1
    return failed


async def main(dsn: str) -> None:
    """Measure all alternately, so that other load on the machine affects each of them."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table policy_head (seq bigint); insert into policy_head values (1)")
    await connection.close()
    found: dict[str, list[tuple[float, float]]] = {}
    ways = await pools(dsn)
    for _ in range(ROUNDS):
        for name, acquire in ways.items():
            found.setdefault(name, []).append(await measure(acquire))
    for name, acquire in ways.items():
        rate = statistics.median(rate for rate, _ in found[name])
        cpu = statistics.median(cpu for _, cpu in found[name])
        failed = await failures(acquire, dsn)
        sys.stdout.write(
            f"{name:26} {rate:7.0f}/s {cpu:5.0f} µs CPU, {failed} of {AFTERWARDS} fail after the end\n"
        )


if __name__ == "__main__":
    cluster = Cluster()
    try:
        asyncio.run(main(cluster.dsn(cluster.create())))
    finally:
        cluster.stop()
