"""What the history of Macs costs: bytes a Mac and year, and the time to look up a moment.

`python -m tests.bench.history`. The year is an assumption: a Mac that works on 230 days, three changes of its
rules a day, each followed by a sync, twelve changes of settings, eight updates of Santa, six of a tag. A
tenth of it is done with real syncs to count the rows; their size is that of many rows in PostgreSQL.
"""

import asyncio
import statistics
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import quote

import asyncpg
import httpx

from santaserver.accounts import create_admin
from santaserver.migrations.runner import migrate
from santaserver.settings import load
from tests.bench import fleet
from tests.bench.database import change, fill
from tests.conftest import ADMIN
from tests.support.postgres import Cluster
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, change_rule, give, sha, tag

TENTH = 10
DAYS, DAILY = 230, 3
SETTINGS, UPDATES, MOVES = 12, 8, 6
RULES = 20_000
ROUNDS = 40
CHANGES = 20
TABLES = ("machine_signature", "machine_confirmation", "tag_member")

MANY = {
    "machine_signature": "insert into machine_signature (machine_id, at, signature) "
    "select 1 + n % 1000, now() + n * interval '1 s', 1 from generate_series(1, 100000) n",
    "machine_confirmation": "insert into machine_confirmation (machine_id, at, seq, signature) "
    "select 1 + n % 1000, now() + n * interval '1 s', n, 1 from generate_series(1, 100000) n",
    "tag_member": "insert into tag_member (tag_id, machine_id, source, joined_at, left_at, joined_seq, "
    "left_seq) select 1, 1 + n % 1000, 'predicate', now(), now(), 1, 1 from generate_series(1, 100000) n",
}
LOGGED = """
insert into policy_change (seq, at, latest_at, actor_kind, actor_name, kind, reason, request_id, summary)
select seq, now(), now(), 'command_line', 'bench', 'rule', '', '', '{}' from policy_head
"""


def live(server: RunningServer, admin: httpx.Client) -> None:
    """Let a Mac live through a tenth of a year."""
    mac = SimulatedMac(server.url)
    mac.sync()
    pilot = tag(admin, "pilot")
    add_rule(admin, sha(2), layer="tag:pilot")
    rule = add_rule(admin, sha(1))
    for number in range(DAYS * DAILY // TENTH):
        change_rule(admin, rule, "ALLOWLIST" if number % 2 == 0 else "BLOCKLIST")
        if number % (DAYS * DAILY // SETTINGS) == 0:
            admin.patch("/api/v1/settings", json={"batch_size": 20 + number % 80}).raise_for_status()
        if number % (DAYS * DAILY // UPDATES) == 0:
            mac.santa_version = "2025.12.1" if mac.santa_version.startswith("2026") else "2026.7.1"
        if number % (DAYS * DAILY // MOVES) == 0:
            give(admin, pilot, mac, "PUT" if number % 2 == 0 else "DELETE")
        mac.sync()
        mac.sync()  # one without news, which may not leave a row
    mac.close()


async def rows(dsn: str) -> dict[str, int]:
    """Count the rows that were left."""
    connection = await asyncpg.connect(dsn)
    found = {table: await connection.fetchval(f"select count(*) from {table}") for table in TABLES}  # noqa: S608
    await connection.close()
    return found


async def bytes_of_a_row(dsn: str) -> dict[str, float]:
    """Return what a row takes with its share of the indexes."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("set session_replication_role = replica")  # the rows need no machines
    found = {}
    for table, statement in MANY.items():
        await connection.execute(f"truncate {table}")
        await connection.execute(statement)
        size = await connection.fetchval("select pg_total_relation_size($1::regclass)", table)
        found[table] = size / 100_000
    await connection.close()
    return found


def login(server: RunningServer) -> httpx.Client:
    """Return an administrator's client."""
    admin = server.client()
    admin.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]}).raise_for_status()
    return admin


def year(cluster: Cluster) -> None:
    """Print bytes a Mac and year."""
    dsn = new(cluster)
    with RunningServer(dsn, as_owner=True) as server, closing(login(server)) as admin:
        live(server, admin)
    counted = asyncio.run(rows(dsn))
    sizes = asyncio.run(bytes_of_a_row(dsn))
    total = 0.0
    for table in TABLES:
        number = counted[table] * TENTH
        total += number * sizes[table]
        sys.stdout.write(f"{table}: {number} rows a year, {sizes[table]:.0f} bytes each\n")
    sys.stdout.write(f"together {total / 1000:.0f} kB a Mac and year\n")


def new(cluster: Cluster) -> str:
    """Return an empty database with an administrator."""
    dsn = cluster.dsn(cluster.create())
    asyncio.run(migrate(dsn))
    asyncio.run(create_admin(load({"DATABASE_URL": dsn}), *ADMIN))
    return dsn


async def prepare(dsn: str) -> tuple[datetime, datetime]:
    """Fill a database, and change its rules some times after its Macs confirmed them."""
    connection = await asyncpg.connect(dsn)
    await fill(connection, fleet.Size(10, RULES))
    await connection.execute(LOGGED)
    began = datetime.now(UTC)
    for _ in range(CHANGES):
        await change(connection, 200)
        await connection.execute(LOGGED)
    await connection.execute("vacuum analyze")
    await connection.close()
    return began, datetime.now(UTC)


def look_up(cluster: Cluster) -> None:
    """Print how long a look-up takes, over HTTP."""
    dsn = new(cluster)
    began, ended = asyncio.run(prepare(dsn))
    with RunningServer(dsn, as_owner=True) as server, closing(login(server)) as admin:
        for label, at in (("after all changes", ended), ("before them", began)):
            for limit in (50, 500):
                path = f"/api/v1/machines/{fleet.name(1)}/policy?limit={limit}&at={quote(at.isoformat())}"
                taken, cursor = [], ""
                for _ in range(ROUNDS):
                    start = time.perf_counter()
                    response = admin.get(path + cursor)
                    taken.append(time.perf_counter() - start)
                    shown = response.raise_for_status().json()
                    cursor = f"&cursor={shown['next_cursor']}" if shown["next_cursor"] else ""
                least, middle = min(taken) * 1000, statistics.median(taken) * 1000
                sys.stdout.write(
                    f"{RULES} rules, {label}, {limit} a page: {least:.1f} ms, median {middle:.1f} ms\n"
                )


def main() -> None:
    """Measure both."""
    cluster = Cluster()
    try:
        look_up(cluster)
        year(cluster)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
