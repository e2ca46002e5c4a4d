"""What is kept for a while goes as fast as it came."""

import asyncio
import contextlib
import time
from datetime import timedelta

import pytest

from santaserver import schedule
from santaserver.clock import system_clock
from santaserver.database_settings import DatabaseSettings
from santaserver.db import Database
from santaserver.events import partitions
from santaserver.events.upkeep import run_once
from santaserver.outbox import discard
from santaserver.settings import RetentionSettings
from tests.support.postgres import execute, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

WAIT = 20.0
KEEP = RetentionSettings.model_validate({})
SESSIONS = """insert into sync_session (machine_id, target_signature, target_seq, kind, base_signatures,
    base_seqs, hash_before, held, state, started_at)
  select m.id, y.signature, 1, 'normal', '{}', '{}', '', false, 'acked', $2
  from machine m join machine_sync y on y.machine_id = m.id, generate_series(1, $1)"""
FAILURES = """insert into login_failure (key, failures, last_failure_at)
  select 'old ' || n, 1, $2 from generate_series(1, $1) n"""


async def look_after(dsn: str, query: str, left: int) -> None:
    """Keep the schedule until a count is reached."""
    database = Database(DatabaseSettings.model_validate({"DATABASE_URL": dsn}))
    keeping = asyncio.create_task(schedule.keep_schedule(database, system_clock, discard, KEEP))
    deadline = time.monotonic() + WAIT
    try:
        while (count := await asyncio.to_thread(value, dsn, query)) != left:
            assert time.monotonic() < deadline, f"{count} are still there"
            await asyncio.sleep(0.02)
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        await database.close()


@pytest.mark.parametrize("number", [11, 30, 95])
def test_old_syncs_go_until_none_is_left(
    server: RunningServer, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    mac.sync()
    server.stop()
    monkeypatch.setattr(schedule, "PRUNE_BATCH", 10)
    monkeypatch.setattr(schedule, "EVERY", timedelta(milliseconds=5))
    old = system_clock() - timedelta(days=KEEP.sync_days, hours=1)
    young = value(server.dsn, "select count(*) from sync_session")
    execute(server.dsn, SESSIONS, number, old)
    execute(server.dsn, FAILURES, number, old)
    asyncio.run(look_after(server.dsn, "select count(*) from sync_session", young))
    asyncio.run(look_after(server.dsn, "select count(*) from login_failure", 0))


@pytest.mark.parametrize("table", ["agent_audit_event", "event_hour", "program_day"])
def test_old_rows_go_in_small_portions(dsn: str, monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    monkeypatch.setattr(partitions, "BATCH", 10)
    now = system_clock()
    old = now - timedelta(days=5000)
    rows = {
        "agent_audit_event": """insert into agent_audit_event
            (occurred_at, received_at, machine_id, kind, detail, dedupe_key)
          select $1::timestamptz, $1, (select id from machine), 'x', '{}', decode(md5(n::text), 'hex')
          from generate_series(1, 25) n""",
        "event_hour": """insert into event_hour
          select $1::timestamptz, n::text, 1 from generate_series(1, 25) n""",
        "program_day": """insert into program_day
          select ($1::timestamptz)::date, n, 'x', 1 from generate_series(1, 25) n""",
    }
    execute(dsn, "insert into machine (machine_id, enrolled_at) values ('M', now())")
    execute(dsn, rows[table], old)
    execute(dsn, rows[table].replace("n::text", "'new' || n"), now)
    portions = "create table portion (rows bigint)"
    execute(dsn, portions)
    execute(
        dsn,
        """create function note() returns trigger language plpgsql as $$ begin
             insert into portion select count(*) from gone; return null; end $$""",
    )
    execute(
        dsn,
        f"""create trigger note after delete on {table} referencing old table as gone
            for each statement execute function note()""",
    )

    async def run() -> None:
        database = Database(DatabaseSettings.model_validate({"DATABASE_URL": dsn}))
        await run_once(database, now.date(), RetentionSettings.model_validate({}))
        await database.close()

    asyncio.run(run())
    assert value(dsn, f"select count(*) from {table}") == 25  # noqa: S608 - a table of this test
    assert value(dsn, "select array_agg(rows order by rows desc) from portion") == [10, 10, 5, 0]
