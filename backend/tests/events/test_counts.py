"""Counts of events: exact at any moment, whoever adds them up, and no reason for uploads to wait."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from santaserver import main
from santaserver.database_settings import DatabaseSettings
from santaserver.db import Database
from santaserver.errors import DatabaseUnavailable
from santaserver.events import counts
from tests.events.conftest import Fleet
from tests.support.postgres import execute, fetch, held, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

KEY = 4711
PAUSE = f"""
create function pause() returns trigger language plpgsql as $$ begin
  perform pg_advisory_xact_lock({KEY}); return new; end $$;
create trigger pause before insert on program_day for each row execute function pause()
"""
HOLD = f"select pg_advisory_xact_lock({KEY})"
PAUSED = "from pg_stat_activity where wait_event = 'advisory' and query ~ 'program_day'"
WAITING = f"select count(*) {PAUSED}"
END = f"select pg_terminate_backend(pid) {PAUSED}"
LEFT = "select count(*) from event_count_delta"


@pytest.fixture(autouse=True)
def nobody_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave it to the tests to move counts."""

    async def idle(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(main, "keep_counts", idle)
    monkeypatch.setattr(main, "keep_in_order", idle)


def move(dsn: str) -> int:
    """Move counts as another worker does."""

    async def run() -> int:
        database = Database(DatabaseSettings.model_validate({"DATABASE_URL": dsn}))
        try:
            return await counts.move_counts(database)
        finally:
            await database.close()

    return asyncio.run(run())


def moved_to(dsn: str) -> tuple[int, int]:
    """Return the events that the counts by hour and by day include."""
    (row,) = fetch(
        dsn,
        """select (select coalesce(sum(events), 0)::integer from event_hour) as hours,
             (select coalesce(sum(events), 0)::integer from program_day) as days""",
    )
    return row["hours"], row["days"]


def shown(admin: httpx.Client) -> tuple[int, int]:
    """Return what the overview and the list of programs count."""
    total: int = admin.get("/api/v1/overview").json()["events"]["total_24h"]
    programs: list[dict[str, Any]] = admin.get("/api/v1/programs").json()["items"]
    return total, sum(program["blocked"] for program in programs)


@contextmanager
def another_worker(dsn: str) -> Iterator[list[object]]:
    """Move counts in a thread; yield what came of it."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(move(dsn))
        except (DatabaseUnavailable, asyncpg.PostgresError, OSError) as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield results
    finally:
        thread.join()


def test_an_upload_waits_for_no_other(server: RunningServer, mac: SimulatedMac, fleet: Fleet) -> None:
    """Not even for one that has yet to commit and is of the same hour, program and decision."""
    at = server.clock().timestamp()
    mac.block("Evil", at)
    same = """insert into event_count_delta (hour, program_id, decision, events)
      select hour, program_id, decision, 1 from event_count_delta;
      insert into event_hour select distinct hour, decision, events from event_count_delta"""
    with held(server.dsn, same):
        fleet(1).block("Evil", at)
    assert value(server.dsn, "select count(*) from event") == 2
    assert value(server.dsn, "select sum(events) from event_count_delta") == 2


def test_what_is_shown_is_exact_before_and_after_a_move(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    now = server.clock().timestamp()
    for number in range(3):
        mac.block("Evil", now - number)
    assert shown(admin) == (3, 3)
    assert move(server.dsn) == 3
    assert shown(admin) == (3, 3)
    mac.block("Evil", now - 9)
    mac.block("Other", now)
    assert shown(admin) == (5, 5)
    assert [item["file_name"] for item in admin.get("/api/v1/programs?outcome=allowed").json()["items"]] == []
    blocked = admin.get("/api/v1/programs?outcome=blocked").json()["items"]
    assert {item["file_name"] for item in blocked} == {"Evil", "Other"}


def test_a_worker_that_ends_in_the_middle_loses_nothing(server: RunningServer, mac: SimulatedMac) -> None:
    execute(server.dsn, PAUSE)
    now = server.clock().timestamp()
    mac.block("Evil", now)
    mac.block("Other", now)
    with held(server.dsn, HOLD) as holder, another_worker(server.dsn) as results:
        holder.until(lambda: value(server.dsn, WAITING) == 1)
        assert move(server.dsn) == 0  # another one is at it
        mac.block("Evil", now - 1)
        assert moved_to(server.dsn) == (0, 0)
        execute(server.dsn, END)
        holder.until(lambda: bool(results))
    assert not isinstance(results[0], int)
    assert (moved_to(server.dsn), value(server.dsn, LEFT)) == ((0, 0), 3)
    assert move(server.dsn) == 3
    assert (moved_to(server.dsn), value(server.dsn, LEFT)) == ((3, 3), 0)
    assert move(server.dsn) == 0


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_workers_that_take_turns_count_each_event_once(
    server: RunningServer, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(counts, "BATCH", batch)
    now, macs = server.clock().timestamp(), [fleet(number) for number in range(3)]
    done = threading.Event()

    def upload(mac: SimulatedMac) -> None:
        for number in range(12):
            mac.block(f"App{number % 4}", now - 3600 * number)
            mac.block(f"App{number % 4}", now - 3600 * number)  # a repetition

    def add_up() -> None:
        async def run() -> None:
            database = Database(DatabaseSettings.model_validate({"DATABASE_URL": server.dsn}))
            while not done.is_set() or await counts.move_counts(database):
                await counts.move_counts(database)
            await database.close()

        asyncio.run(run())

    uploads = [threading.Thread(target=upload, args=(mac,)) for mac in macs]
    workers = [threading.Thread(target=add_up) for _ in range(2)]
    for thread in (*uploads, *workers):
        thread.start()
    for thread in uploads:
        thread.join()
    done.set()
    for thread in workers:
        thread.join()
    while move(server.dsn):
        pass
    assert value(server.dsn, "select count(*) from event") == 36
    assert moved_to(server.dsn) == (36, 36)
    by_day = """select (occurred_at at time zone 'UTC')::date as day, program_id, decision, count(*) as events
      from event group by 1, 2, 3 order by 1, 2, 3"""
    counted = "select day, program_id, decision, events from program_day order by 1, 2, 3"
    assert fetch(server.dsn, counted) == fetch(server.dsn, by_day)


def test_each_worker_does_it_now_and_then(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "EVERY", 0.01)
    monkeypatch.setattr(main, "keep_counts", counts.keep_counts)
    with RunningServer(dsn) as server:
        mac = SimulatedMac(server.url)
        mac.block("Evil", server.clock().timestamp())
        mac.close()
        with held(dsn, "select 1") as holder:
            holder.until(lambda: moved_to(dsn) == (1, 1))
        assert value(dsn, LEFT) == 0
