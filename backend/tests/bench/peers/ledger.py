"""A peer that keeps what each Mac has, rule by rule, and sends the difference of two sets in SQL.

The design of Zentral: a row for each Mac and rule with the version it has; a page is staged when it is sent
and committed by the postflight; a Mac's row is locked while a stage works. It leaves out the comparison of
counts that Zentral makes at each preflight, which would read the ledger once more.
"""

import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from tests.bench import fleet

PAGE = 1000
SCHEMA = """
create table rule (
  id bigint generated always as identity primary key,
  rule_type text not null,
  identifier text not null,
  policy text not null,
  custom_msg text not null,
  tag integer,
  version integer not null default 1,
  unique (rule_type, identifier)
);
create index rule_tag on rule (tag);
create table machine (
  id bigint primary key,
  machine_id text not null unique,
  serial text not null,
  hostname text not null,
  os_version text not null,
  santa_version text not null,
  primary_user text not null,
  client_mode text not null,
  clean boolean not null default false,
  last_preflight_at timestamptz,
  last_postflight_at timestamptz
) with (fillfactor = 70);
create table machine_tag (machine_id bigint references machine, tag integer, primary key (machine_id, tag));
create table ledger (
  machine_id bigint not null references machine,
  rule_id bigint not null references rule,
  version integer,
  staged integer,
  primary key (machine_id, rule_id)
);
create index ledger_staged on ledger (machine_id) where staged is not null;
create table event (
  id bigint generated always as identity primary key,
  machine_id bigint not null,
  occurred_at timestamptz not null,
  sha256 text not null,
  decision text not null,
  content jsonb not null
);
create index event_machine on event (machine_id, occurred_at);
"""
DIFFERENCE = """
  with wanted as (
    select id, version from rule
    where tag is null or tag in (select tag from machine_tag where machine_id = $1)),
  had as (select rule_id, coalesce(staged, version) as version from ledger where machine_id = $1)
  select coalesce(w.id, h.rule_id) as rule, coalesce(w.version, 0) as version
  from wanted w full join had h on h.rule_id = w.id
  where w.version is distinct from nullif(h.version, 0)
  order by 1 limit $2
"""
"""Version 0 stages the removal of a rule."""


async def fill(connection: asyncpg.Connection, size: fleet.Size) -> None:
    """Put rules and Macs that have them into an empty database."""
    await connection.execute(SCHEMA)
    await connection.copy_records_to_table(
        "rule",
        columns=["rule_type", "identifier", "policy", "custom_msg", "tag"],
        records=(
            (rule.rule_type, rule.identifier, rule.policy, rule.message, rule.tag or None)
            for rule in fleet.rules(size.rules)
        ),
    )
    numbers = range(size.machines)
    await connection.copy_records_to_table(
        "machine",
        columns=[
            *("id", "machine_id", "serial", "hostname", "os_version", "santa_version", "primary_user"),
            "client_mode",
        ],
        records=(
            (
                number,
                fleet.name(number),
                said.serial_number,
                said.hostname,
                said.os_version,
                said.santa_version,
                said.primary_user,
                said.client_mode,
            )
            for number in numbers
            for said in (fleet.report(number),)
        ),
    )
    await connection.copy_records_to_table(
        "machine_tag", records=((number, tag) for number in numbers for tag in fleet.tags_of(number))
    )
    await connection.execute(
        """insert into ledger (machine_id, rule_id, version)
           select m.id, r.id, r.version from machine m cross join rule r
           where r.tag is null or r.tag in (select tag from machine_tag t where t.machine_id = m.id)"""
    )


async def measure(connection: asyncpg.Connection) -> dict[str, float]:
    """Return bytes of the ledger for each Mac: of rows, and of the table with its indexes."""
    row = await connection.fetchrow(
        """select avg(pg_column_size(l.*))::float * count(*) / count(distinct machine_id) as rows,
             pg_total_relation_size('ledger')::float / count(distinct machine_id) as tables from ledger l"""
    )
    return dict(row)


def create_app(dsn: str) -> FastAPI:
    """Return the application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(dsn, min_size=0, max_size=10) as pool:
            app.state.pool = pool
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/api/santa/{stage}/{machine_id}", _stage, methods=["POST"], response_model=None)
    return app


async def _stage(stage: str, machine_id: str, request: Request) -> Response:
    body = msgspec.json.decode(zlib.decompress(await request.body()))
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        machine = await connection.fetchval(
            "select id from machine where machine_id = $1 for update", machine_id
        )
        response = await STAGES[stage](connection, machine, body)
    return Response(msgspec.json.encode(response), media_type="application/json")


async def _preflight(connection: asyncpg.Connection, machine: int, body: dict[str, Any]) -> dict[str, Any]:
    await connection.execute(
        """update machine set serial = $2, hostname = $3, os_version = $4, santa_version = $5,
             primary_user = $6, client_mode = $7, last_preflight_at = $8 where id = $1""",
        machine,
        body.get("serial_num", ""),
        body.get("hostname", ""),
        body.get("os_version", ""),
        body.get("santa_version", ""),
        body.get("primary_user", ""),
        body.get("client_mode", ""),
        datetime.now(UTC),
    )
    # A sync that was cut off left something staged that the Mac may not have.
    await connection.execute(
        "update ledger set staged = null where machine_id = $1 and staged is not null", machine
    )
    return {"sync_type": "NORMAL", "client_mode": "LOCKDOWN", "batch_size": 50, "full_sync_interval": 600}


async def _upload(connection: asyncpg.Connection, machine: int, body: dict[str, Any]) -> dict[str, Any]:
    events = body["events"]
    await connection.execute(
        """insert into event (machine_id, occurred_at, sha256, decision, content)
           select $1, to_timestamp(at), sha256, decision, content
           from unnest($2::float[], $3::text[], $4::text[], $5::jsonb[]) e(at, sha256, decision, content)""",
        machine,
        [event["execution_time"] for event in events],
        [event["file_sha256"] for event in events],
        [event["decision"] for event in events],
        [msgspec.json.encode(event).decode() for event in events],
    )
    return {}


async def _page(connection: asyncpg.Connection, machine: int, _: dict[str, Any]) -> dict[str, Any]:
    rows = await connection.fetch(
        f"""with page as ({DIFFERENCE}),
            staged as (
              insert into ledger (machine_id, rule_id, staged) select $1, rule, version from page
              on conflict (machine_id, rule_id) do update set staged = excluded.staged)
            select r.identifier, r.rule_type, r.custom_msg,
              case when page.version = 0 then 'REMOVE' else r.policy end as policy
            from page join rule r on r.id = page.rule order by r.id""",  # noqa: S608 - a constant of this file
        machine,
        PAGE,
    )
    response: dict[str, Any] = {"rules": [dict(row) for row in rows]}
    if len(rows) == PAGE:
        response["cursor"] = "more"
    return response


async def _postflight(connection: asyncpg.Connection, machine: int, _: dict[str, Any]) -> dict[str, Any]:
    await connection.execute("delete from ledger where machine_id = $1 and staged = 0", machine)
    await connection.execute(
        """update ledger set version = staged, staged = null
           where machine_id = $1 and staged is not null""",
        machine,
    )
    await connection.execute(
        "update machine set last_postflight_at = $2 where id = $1", machine, datetime.now(UTC)
    )
    return {}


STAGES = {
    "preflight": _preflight,
    "eventupload": _upload,
    "ruledownload": _page,
    "postflight": _postflight,
}
