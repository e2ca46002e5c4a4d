"""Partitions are made beside running uploads."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg

from santaserver.events.partitions import create_partitions
from tests.support.postgres import value

DAY = date(2031, 5, 17)
ADD_EVENT = """insert into event (occurred_at, received_at, machine_id, program_id, decision, file_name,
    file_path, executing_user, parent_name, static_rule, logged_in_users, current_sessions, pid, ppid)
  values ($1, $1, 1, 1, 'BLOCK_UNKNOWN', '', '', '', '', false, '{}', '{}', 7, 1)"""


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def test_an_upload_beside_the_making_of_partitions_is_neither_refused_nor_stuck(dsn: str) -> None:
    """The maker waits for an open upload; the next upload waits for the maker and finds the partition."""

    async def run() -> None:
        first, second, maker = [await asyncpg.connect(dsn) for _ in range(3)]
        opened = first.transaction()
        await opened.start()
        await first.execute(ADD_EVENT, at(DAY - timedelta(days=9)))
        making = asyncio.create_task(make(maker))
        waiting = asyncio.create_task(second.execute(ADD_EVENT, at(DAY)))
        await first.execute(ADD_EVENT, at(DAY - timedelta(days=8)))
        await opened.commit()
        await asyncio.gather(making, waiting)
        for connection in (first, second, maker):
            await connection.close()

    async def make(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await create_partitions(connection, DAY, DAY)

    asyncio.run(run())
    assert value(dsn, "select count(*) from event") == 3


def test_a_day_with_events_in_the_default_partition_stays_there(dsn: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(ADD_EVENT, at(DAY))
        for _ in range(2):
            async with connection.transaction():
                await create_partitions(connection, DAY, DAY + timedelta(days=1))
        await connection.close()

    asyncio.run(run())
    assert value(dsn, "select to_regclass('event_20310517')") is None
    assert value(dsn, "select to_regclass('event_20310518')") is not None


def test_a_repetition_is_found_in_its_partition(dsn: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        async with connection.transaction():
            await create_partitions(connection, DAY, DAY)
        for _ in range(2):
            await connection.execute(ADD_EVENT + " on conflict do nothing", at(DAY))
        await connection.close()

    asyncio.run(run())
    assert value(dsn, "select count(*) from event") == 1
