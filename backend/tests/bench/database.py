"""Fills a migrated database for the benchmarks, changes it, measures it: `python -m tests.bench.database`.

`DATABASE_URL` says which. Everything is copied in or made by single statements, so that 100,000 Macs
take seconds; every Mac has confirmed all rules and synced with the report that it will send.
"""

import argparse
import asyncio
import json
import os
import secrets
import sys
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg

from santaserver.events.partitions import create_partitions
from santaserver.migrations import runner
from santaserver.policy.capabilities import by_version
from santaserver.session_cookie import SECURE_NAME
from tests.bench import fleet
from tests.bench.peers import PEERS

CHANGE = """
with old as (
  select v.* from rule_version v where v.closed_seq is null and v.layer_id = 1
  order by md5(v.id::text || $1::bigint::text) limit $2),
closed as (update rule_version v set closed_seq = $1 from old where v.id = old.id returning v.id)
insert into rule_version (rule_id, layer_id, rule_type, identifier, policy, custom_msg, grants_compiler,
  opened_seq, opened_at)
select rule_id, layer_id, rule_type, identifier,
  case policy when 'ALLOWLIST' then 'BLOCKLIST' else 'ALLOWLIST' end, custom_msg, false, $1, now()
from old, (select count(*) from closed) done
"""
"""Old versions are closed first: a rule has one open version."""


async def fill(connection: asyncpg.Connection, size: fleet.Size) -> None:
    """Put rules, tags and Macs that have them into an empty database."""
    now = datetime.now(UTC)
    today = now.date()
    async with connection.transaction():
        await create_partitions(connection, today, today)
        await _tags(connection, now)
        first = await connection.fetchval("select min(id) from layer where kind = 'tag'")
        await _rules(connection, size, first, now)
        await connection.execute(
            "update policy_head set seq = 1, settings_seq = 1, content_seq = 1, layer_version = 1"
        )
        await _machines(connection, size, first, now)


async def _tags(connection: asyncpg.Connection, now: datetime) -> None:
    await connection.execute(
        "insert into tag (name, created_at) select 'tag ' || n, $2 from generate_series(1, $1::integer) n",
        fleet.TAGS,
        now,
    )
    await connection.execute(
        """insert into layer (kind, name, rank, tag_id, used)
           select 'tag', name, row_number() over (order by id), id, true from tag order by id"""
    )


async def _rules(connection: asyncpg.Connection, size: fleet.Size, first: int, now: datetime) -> None:
    made = [
        (number, 1 if rule.tag == 0 else first + rule.tag - 1, rule)
        for number, rule in enumerate(fleet.rules(size.rules), start=1)
    ]
    await connection.execute(
        "create temporary table made (id bigint, layer bigint, t text, i text, p text, m text)"
    )
    await connection.copy_records_to_table(
        "made",
        records=[
            (number, layer, rule.rule_type, rule.identifier, rule.policy, rule.message)
            for number, layer, rule in made
        ],
    )
    await connection.execute(
        """insert into rule (id, layer_id, rule_type, identifier, created_at) overriding system value
           select id, layer, t, i, $1 from made""",
        now,
    )
    await connection.execute(
        """insert into rule_version (rule_id, layer_id, rule_type, identifier, policy, custom_msg,
             grants_compiler, opened_seq, opened_at)
           select id, layer, t, i, p, m, false, 1, $1 from made order by id""",
        now,
    )
    await connection.execute("drop table made")


async def _machines(connection: asyncpg.Connection, size: fleet.Size, first: int, now: datetime) -> None:
    numbers = range(size.machines)
    code = by_version(fleet.RELEASE).code
    sets = sorted({tuple(fleet.layers_of(number, first)) for number in numbers})
    await connection.executemany(
        "insert into policy_signature (layers, capabilities) values ($1, $2)",
        [(layers, code) for layers in sets],
    )
    rows = await connection.fetch("select id, layers from policy_signature where capabilities = $1", code)
    signature = {tuple(row["layers"]): row["id"] for row in rows}
    reports = (fleet.report(number) for number in numbers)
    await connection.copy_records_to_table(
        "machine",
        columns=[
            *("id", "machine_id", "serial", "hostname", "model", "os_version", "os_build", "santa_version"),
            *("primary_user", "client_mode", "enrolled_at"),
        ],
        records=(
            (
                number + 1,
                fleet.name(number),
                said.serial_number,
                said.hostname,
                said.model_identifier,
                said.os_version,
                said.os_build,
                said.santa_version,
                said.primary_user,
                said.client_mode,
                now,
            )
            for number, said in zip(numbers, reports, strict=True)
        ),
    )
    await connection.copy_records_to_table(
        "tag_member",
        columns=["tag_id", "machine_id", "source", "joined_at", "joined_seq"],
        records=((tag, number + 1, "manual", now, 1) for number in numbers for tag in fleet.tags_of(number)),
    )
    await connection.copy_records_to_table(
        "machine_sync",
        columns=[
            *(
                "machine_id",
                "acked_signature",
                "acked_seq",
                "acked_hash",
                "signature",
                "membership_fingerprint",
            ),
            *("last_preflight_at", "last_postflight_at", "last_clean_at"),
        ],
        records=(
            (
                number + 1,
                known,
                1,
                fleet.rules_hash(number),
                known,
                fleet.report_key(number, 1),
                now,
                now,
                now,
            )
            for number in numbers
            for known in (signature[tuple(fleet.layers_of(number, first))],)
        ),
    )
    await connection.execute(
        """insert into machine_signature (machine_id, at, signature)
           select machine_id, last_preflight_at, signature from machine_sync order by machine_id"""
    )
    await connection.execute(
        """insert into machine_confirmation (machine_id, at, seq, signature)
           select machine_id, last_postflight_at, acked_seq, acked_signature from machine_sync
           order by machine_id"""
    )
    for table in ("rule", "machine"):
        await connection.execute(
            f"select setval(pg_get_serial_sequence('{table}', 'id'), max(id)) from {table}"  # noqa: S608
        )


async def change(connection: asyncpg.Connection, count: int) -> None:
    """Change this many global rules, as one policy change."""
    async with connection.transaction():
        seq = await connection.fetchval(
            "update policy_head set seq = seq + 1, content_seq = seq + 1 returning seq"
        )
        await connection.execute(CHANGE, seq, count)


async def login(connection: asyncpg.Connection) -> str:
    """Open an administrator's session and return its cookie."""
    token = secrets.token_urlsafe()
    await connection.execute(
        """with made as (
             insert into app_user (username, name_key, display_name) values ('bench', 'bench', 'Bench')
             on conflict (username) do update set display_name = 'Bench' returning id),
           bound as (
             insert into binding (user_id, role, created_at) select id, 'admin', now() from made
             on conflict do nothing)
           insert into user_session (id_hash, user_id, created_at, last_seen_at, expires_at, authenticated_at)
           select sha256($1), id, now(), now(), now() + interval '30 min', now() from made""",
        token.encode(),
    )
    return f"{SECURE_NAME}={token}"


async def measure(connection: asyncpg.Connection) -> dict[str, float]:
    """Return bytes of state for each Mac: its row, and its share of the table with its indexes."""
    row = await connection.fetchrow(
        """select avg(pg_column_size(y.*))::float as rows,
             pg_total_relation_size('machine_sync') / count(*)::float as tables from machine_sync y"""
    )
    return dict(row)


async def create(dsn: str) -> asyncpg.Connection:
    """Make the database that an address names, empty, and connect to it."""
    name = urlsplit(dsn).path.lstrip("/")
    administration = await asyncpg.connect(dsn, database="postgres")
    await administration.execute(f'drop database if exists "{name}"')
    await administration.execute(f'create database "{name}"')
    await administration.close()
    return await asyncpg.connect(dsn)


async def run(arguments: argparse.Namespace) -> None:
    """Carry out one command."""
    dsn = os.environ["DATABASE_URL"]
    peer = PEERS.get(arguments.kind)
    if arguments.command == "fill":
        connection = await create(dsn)
        size = fleet.Size(arguments.machines, arguments.rules)
        if peer:
            await peer.fill(connection, size)
        else:
            await runner.migrate(dsn)
            await fill(connection, size)
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")
    else:
        connection = await asyncpg.connect(dsn)
        if arguments.command == "change":
            await change(connection, arguments.rules)
        elif arguments.command == "login":
            sys.stdout.write(await login(connection) + "\n")
        else:
            found = await (peer.measure if peer else measure)(connection)
            sys.stdout.write(json.dumps(found) + "\n")
    await connection.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.database", description=__doc__)
    parser.add_argument("command", choices=("fill", "change", "login", "measure"))
    parser.add_argument("kind", choices=("santaserver", *PEERS))
    parser.add_argument("--machines", type=int, default=0)
    parser.add_argument("--rules", type=int, default=0)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
