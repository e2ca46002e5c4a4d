"""Old events are removed by partition, and from the default partition."""

import asyncio
from datetime import UTC, datetime, timedelta

from santaserver.database_settings import DatabaseSettings
from santaserver.db import Database
from santaserver.events.partitions import create_partitions
from santaserver.events.upkeep import run_once
from santaserver.outbox import discard
from santaserver.settings import RetentionSettings
from tests.support.event_counts import by_hour, by_program, total
from tests.support.postgres import fetch, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

KEEP = RetentionSettings.model_validate({"EVENT_RETENTION_DAYS": 30, "COUNT_RETENTION_DAYS": 60})


def tidy(dsn: str, now: datetime) -> None:
    async def run() -> None:
        database = Database(DatabaseSettings.model_validate({"DATABASE_URL": dsn}))
        await run_once(database, now.date(), KEEP)
        await database.close()

    asyncio.run(run())


def prepare(dsn: str, day: datetime) -> None:
    async def run() -> None:
        database = Database(DatabaseSettings.model_validate({"DATABASE_URL": dsn}))
        async with database.transaction(discard) as (connection, _):
            await create_partitions(connection, day.date(), day.date())
        await database.close()

    asyncio.run(run())


def test_what_is_too_old_is_dropped_and_counts_stay_longer(server: RunningServer, mac: SimulatedMac) -> None:
    now = server.clock()
    old, strayed, ancient = (now - timedelta(days=days) for days in (40, 45, 100))
    prepare(server.dsn, old)
    for name, at in (("New", now), ("Old", old), ("Strayed", strayed), ("Ancient", ancient)):
        mac.block(name, at.timestamp())
    tidy(server.dsn, now)
    assert [row["file_name"] for row in fetch(server.dsn, "select file_name from event")] == ["New"]
    assert value(server.dsn, "select to_regclass($1)", f"event_{old:%Y%m%d}") is None
    assert total(by_program(server.dsn)) == 3
    assert total(by_hour(server.dsn)) == 3


def test_a_second_round_changes_nothing(server: RunningServer, mac: SimulatedMac) -> None:
    now = server.clock()
    mac.block("New", now.timestamp())

    def everything() -> list[object]:
        tables = "select relname from pg_class where relkind = 'r' and relname ~ '^event' order by relname"
        rows = [fetch(server.dsn, f"table {name}") for name in ("event", "program")]
        return [fetch(server.dsn, tables), *rows, by_hour(server.dsn), by_program(server.dsn)]

    tidy(server.dsn, now)
    before = everything()
    assert value(server.dsn, "select count(*) from event") == 1
    tidy(server.dsn, now)
    assert everything() == before


def test_counts_are_of_what_was_added_not_of_what_was_sent(server: RunningServer, mac: SimulatedMac) -> None:
    at = datetime(2026, 3, 4, 5, 6, tzinfo=UTC).timestamp()
    for _ in range(3):
        mac.block("Evil", at)
    mac.block("Evil", at + 1)
    assert by_hour(server.dsn) == [
        {"hour": datetime(2026, 3, 4, 5, tzinfo=UTC), "decision": "BLOCK_UNKNOWN", "events": 2}
    ]
    assert total(by_program(server.dsn)) == 2
