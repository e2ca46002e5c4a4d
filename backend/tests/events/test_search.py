"""Searches find every matching event, however many there are."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from santaserver.clock import system_clock
from santaserver.events import places, repository
from santaserver.events.partitions import create_partitions
from santaserver.events.repository import Search
from santaserver.events.service import newest
from santaserver.scope import EVERYWHERE
from tests.support.postgres import value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

SHA = "ab" * 32
AT = 1_763_900_000


def upload(mac: SimulatedMac, events: Sequence[dict[str, Any]]) -> None:
    common = {"execution_time": AT, "decision": "BLOCK_UNKNOWN", "executing_user": "sim", "pid": 7}
    mac.post("eventupload", {"events": [common | event for event in events]})


def found(admin: httpx.Client, path: str = "events", **query: str) -> list[dict[str, Any]]:
    """Return all pages of a list."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        response = admin.get(f"/api/v1/{path}", params={"limit": "200", **query, **cursor})
        assert response.status_code == httpx.codes.OK, response.text
        items += response.json()["items"]
        if not response.json()["next_cursor"]:
            return items
        cursor = {"cursor": response.json()["next_cursor"]}


@pytest.mark.parametrize(
    ("path", "name", "text"),
    [
        ("/Users/kim/Downloads", "Tool", "kim/downloads"),
        ("/Applications", "Renamed 100%", "renamed 100%"),
        ("/Volumes/Größe/道具", "Tool", "größe/道具"),
    ],
)
def test_a_program_is_found_by_every_place_it_was_seen_at(
    admin: httpx.Client, mac: SimulatedMac, path: str, name: str, text: str
) -> None:
    upload(mac, [{"file_sha256": SHA, "file_path": "/Applications", "file_name": "Tool"}])
    upload(mac, [{"file_sha256": "cd" * 32, "file_path": "/opt", "file_name": "Other"}])
    for _ in range(2):
        upload(mac, [{"file_sha256": SHA, "file_path": path, "file_name": name, "pid": 8}])
    seen = {(event["file_path"], event["file_name"]) for event in found(admin, q=text)}
    assert seen == {("/Applications", "Tool"), (path, name)}
    assert [program["sha256"] for program in found(admin, "programs", q=text)] == [SHA]


def test_a_program_at_ever_new_places_is_kept_with_some_of_them(
    server: RunningServer, mac: SimulatedMac
) -> None:
    for begin in (0, 50, 100):
        numbers = range(begin, begin + 50)
        upload(mac, [{"file_sha256": SHA, "file_path": f"/tmp/{n}", "pid": n + 1} for n in numbers])  # noqa: S108
    assert value(server.dsn, "select count(*) from program_path") == places.MAX_PLACES
    assert value(server.dsn, "select count(*) from event") == 150


@pytest.mark.parametrize("number", [1, 201, 1300])
def test_a_search_goes_on_however_many_programs_it_names(
    admin: httpx.Client, mac: SimulatedMac, number: int
) -> None:
    many = [
        {"file_sha256": f"{n:064x}", "file_name": f"Bulk {n}", "execution_time": AT + n, "pid": n + 1}
        for n in range(number)
    ]
    upload(mac, many)
    upload(mac, [{"file_sha256": SHA, "file_name": "Other"}])
    names = [event["file_name"] for event in found(admin, q="bulk", decision="blocked")]
    assert names == [f"Bulk {n}" for n in reversed(range(number))]
    assert found(admin, q="bulk", decision="allowed") == []


def test_a_search_goes_on_however_many_machines_it_names(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "MAX_KEYS", 2)
    for number in range(5):
        other = SimulatedMac(
            server.url, machine_id=f"M{number}", serial=f"S{number}", hostname=f"lab-{number}"
        )
        other.sync()
        upload(other, [{"file_sha256": SHA, "file_name": "Tool", "execution_time": AT + number}])
        other.close()
    upload(mac, [{"file_sha256": SHA, "file_name": "Tool"}])
    assert [event["hostname"] for event in found(admin, q="LAB-")] == [f"lab-{n}" for n in (4, 3, 2, 1, 0)]
    assert [event["hostname"] for event in found(admin, q="lab-3")] == ["lab-3"]


class Recorder:
    """A connection that notes what is asked."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.asked: list[tuple[object, ...]] = []

    async def fetch(self, query: str, *args: object) -> Sequence[Any]:
        self.asked.append(args)
        rows: Sequence[Any] = await self._connection.fetch(query, *args)
        return rows

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a connection has
        return getattr(self._connection, name)


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(hours=23), timedelta(hours=-20)])
def test_the_first_look_of_a_list_is_at_today(dsn: str, mac: SimulatedMac, ago: timedelta) -> None:
    """An event of the last day, or of a Mac whose clock is ahead, needs no second look."""
    now = system_clock()
    upload(mac, [{"file_sha256": SHA, "execution_time": (now - ago).timestamp()}])

    async def run() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(dsn)
        recorder = Recorder(connection)
        rows = await repository.list_events(recorder, EVERYWHERE, Search(), newest(now), 1, now)
        assert len(rows) == 1
        await connection.close()
        return recorder.asked

    [(start, *_)] = asyncio.run(run())
    assert start == now - timedelta(days=1)


@pytest.mark.parametrize("days", [(0,), (3,), (1, 2)])
def test_news_are_looked_up_in_the_partitions_of_their_days(
    server: RunningServer, days: tuple[int, ...]
) -> None:
    now = system_clock()
    server.stop()

    async def run() -> tuple[set[str], set[str]]:
        connection = await asyncpg.connect(server.dsn)
        async with connection.transaction():
            await create_partitions(connection, (now - timedelta(days=5)).date(), now.date())
        with RunningServer(server.dsn) as again:
            other = SimulatedMac(again.url, machine_id="M", serial="S")
            times = [(now - timedelta(days=day)).timestamp() for day in days]
            await asyncio.to_thread(
                upload, other, [{"file_sha256": SHA, "execution_time": at} for at in times]
            )
            other.close()
        positions: list[tuple[datetime, int]] = [
            (row[0], row[1]) for row in await connection.fetch("select occurred_at, id from event")
        ]
        async with connection.transaction():
            before = await scans(connection)
            assert len(await repository.events_at(connection, positions)) == len(days)
            after = await scans(connection)
        await connection.close()
        return {name for name, count in after.items() if count > before[name]}, {
            f"event_{now - timedelta(days=day):%Y%m%d}" for day in days
        }

    looked_at, expected = asyncio.run(run())
    assert looked_at == expected


async def scans(connection: asyncpg.Connection) -> dict[str, int]:
    """Count how often this transaction has looked into each partition."""
    rows = await connection.fetch(
        """select relname, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) from pg_stat_xact_user_tables
           where relname ~ '^event_([0-9]{8}|default)$'"""
    )
    return {row[0]: row[1] for row in rows}
