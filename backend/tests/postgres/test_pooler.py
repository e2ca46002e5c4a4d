"""A pooler in transaction mode, a real PgBouncer, between the server and PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from uuid import uuid4

import asyncpg
import httpx
import pytest

from santaserver.db import open_connection
from santaserver.postgres.failures import hint, is_outage
from tests.live.sockets import closed, listen, socket
from tests.live.test_relay import signed_in
from tests.support.pgbouncer import SESSIONS, PgBouncer
from tests.support.postgres import Cluster, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, effective, sha

MACS = 12
DIRECT = 4
"""Sessions past the pooler: each of two servers listens for live messages and for ended sessions."""


@pytest.fixture
def pooler(cluster: Cluster) -> Iterator[PgBouncer]:
    with PgBouncer(cluster) as running:
        yield running


@pytest.fixture
def servers(pooler: PgBouncer, dsn: str) -> Iterator[tuple[RunningServer, RunningServer]]:
    """Two workers that reach the database through the pooler."""
    through, direct = pooler.dsn(dsn), {"DATABASE_DIRECT_URL": dsn}
    with RunningServer(through, direct) as here, RunningServer(through, direct) as there:
        yield here, there


def test_macs_sync_at_the_same_time(servers: tuple[RunningServer, RunningServer], dsn: str) -> None:
    macs = [SimulatedMac(servers[number % 2].url) for number in range(MACS)]

    def days(mac: SimulatedMac) -> None:
        mac.sync()
        mac.block(f"Program of {mac.machine_id}")
        mac.sync()

    with signed_in(servers[0]) as admin:
        rules = [{"rule_type": "BINARY", "identifier": sha(n), "policy": "BLOCKLIST"} for n in range(300)]
        lines = ["rule_type,identifier,policy", *(",".join(rule.values()) for rule in rules)]
        file = {"format": "csv", "content": "\n".join(lines), "dry_run": False}
        imported = admin.post("/api/v1/rules/import", json=file)
        assert imported.status_code == httpx.codes.OK, imported.text
        with ThreadPoolExecutor(MACS) as threads:
            list(threads.map(days, macs))
        expected = effective(admin)
    assert len(expected) == len(rules)
    assert all(mac.rules == expected for mac in macs)
    assert value(dsn, "select count(*) from event") == MACS
    sessions = "select count(*) from pg_stat_activity where datname = current_database()"
    assert value(dsn, f"{sessions} and pid <> pg_backend_pid()") <= SESSIONS + DIRECT
    for mac in macs:
        mac.close()


def test_other_workers_hear_of_changes_and_of_ended_sessions(
    servers: tuple[RunningServer, RunningServer],
) -> None:
    here, there = servers
    with signed_in(there) as reader, socket(there, reader) as made:
        listen(made, "hello")
        with here.client() as same:
            same.cookies.set("santa_session", reader.cookies["santa_session"])
            add_rule(same, sha(1))
            assert listen(made, "rule")["rule"]["identifier"] == sha(1)
            assert same.post("/api/v1/auth/logout").status_code == httpx.codes.NO_CONTENT
        closed(made)


Use = Callable[[asyncpg.Connection], Awaitable[object]]
USES: dict[str, Use] = {
    "fetch": lambda one: one.fetch("select $1::int + generate_series(1, 3)", 1),
    "fetchval": lambda one: one.fetchval("select $1::text[]", ["a", "b"]),
    "execute": lambda one: one.execute("select set_config('santa.none', $1, true)", "x"),
    "many": lambda one: one.executemany("select $1::int", [(1,), (2,)]),
    "copy": lambda one: one.copy_records_to_table(
        "login_failure",
        records=[(str(uuid4()), 1, datetime.now(UTC))],
        columns=["key", "failures", "last_failure_at"],
    ),
}


async def in_other_sessions(dsn: str, use: Use, *, pooled: bool) -> None:
    """Use one connection three times, each time in another session of PostgreSQL."""
    connection = await open_connection(dsn, pooled=pooled)
    taken = []
    try:
        seen = []
        for _ in range(SESSIONS):
            await use(connection)
            seen.append(await connection.fetchval("select pg_backend_pid()") if pooled else 0)
            taken.append(await asyncpg.connect(dsn))
            await taken[-1].execute("begin; select 1")
        assert not pooled or all(one != other for one, other in pairwise(seen))
    finally:
        for one in (*taken, connection):
            one.terminate()


@pytest.mark.parametrize("use", USES)
def test_a_connection_uses_any_session(pooler: PgBouncer, dsn: str, use: str) -> None:
    asyncio.run(in_other_sessions(pooler.dsn(dsn), USES[use], pooled=True))


def test_a_pooler_that_was_not_declared_is_named(pooler: PgBouncer, dsn: str) -> None:
    with pytest.raises(asyncpg.PostgresError) as caught:
        asyncio.run(in_other_sessions(pooler.dsn(dsn), USES["fetch"], pooled=False))
    assert is_outage(caught.value)
    assert "DATABASE_DIRECT_URL" in hint(caught.value)
