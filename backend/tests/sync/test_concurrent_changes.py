"""Two administrators change rules at the same time while a Mac syncs."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import httpx
import pytest

from santaserver.unit_of_work import UnitOfWork
from tests.support.postgres import START_LIMIT, Cluster, Holder, execute, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, effective, sha

WAITING = """select count(*) from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'"""


@pytest.fixture(params=["read committed", "repeatable read"])
def dsn(cluster: Cluster, template: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh database with another default than most have."""
    name = cluster.create(template)
    execute(
        cluster.dsn("postgres"),
        f"alter database {name} set default_transaction_isolation = '{request.param}'",
    )
    yield cluster.dsn(name)
    cluster.drop(name)


@contextmanager
def first_commit_held(patch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hold the next commit until the end of the block; yield what is set when it is about to happen."""
    reached, go_on = threading.Event(), threading.Event()
    finish = UnitOfWork.finish

    async def held(work: UnitOfWork) -> None:
        await finish(work)
        if not reached.is_set():
            reached.set()
            assert await asyncio.to_thread(go_on.wait, START_LIMIT)

    patch.setattr(UnitOfWork, "finish", held)
    try:
        yield reached
    finally:
        go_on.set()


def test_concurrent_rule_changes_never_hide_behind_a_confirmed_number(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that took its number but has not committed keeps later writers from overtaking it."""
    add_rule(admin, sha(1))
    mac.sync()
    seq = value(server.dsn, "select seq from policy_head")
    with ThreadPoolExecutor(2) as writers:
        with first_commit_held(monkeypatch) as about_to_commit:
            first = writers.submit(add_rule, admin, sha(2))
            assert about_to_commit.wait(START_LIMIT)
            second = writers.submit(add_rule, admin, sha(3))
            Holder(START_LIMIT).until(lambda: second.done() or value(server.dsn, WAITING) > 0)
            assert not second.done(), "the later change must not be stored first"
            mac.sync()
            assert value(server.dsn, "select acked_seq from machine_sync") == seq
            assert mac.rules.keys() == {("BINARY", sha(1))}
        first.result()
        second.result()
    mac.sync()
    assert value(server.dsn, "select acked_seq from machine_sync") == seq + 2
    assert mac.rules == effective(admin)
    assert mac.rules.keys() == {("BINARY", sha(number)) for number in (1, 2, 3)}


def test_syncs_do_not_wait_for_an_import_that_is_about_to_commit(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Mac with news, one without and a new one sync from start to end while an import holds the lock."""
    add_rule(admin, sha(1))
    mac.sync()
    add_rule(admin, sha(2))
    before = effective(admin)
    rows = [
        {"rule_type": "BINARY", "identifier": sha(number), "policy": "BLOCKLIST"} for number in range(3, 90)
    ]
    file = {"format": "json", "content": json.dumps(rows), "dry_run": False}
    with ThreadPoolExecutor(1) as pool, closing(SimulatedMac(server.url)) as new:
        with first_commit_held(monkeypatch) as about_to_commit:
            importing = pool.submit(admin.post, "/api/v1/rules/import", json=file)
            assert about_to_commit.wait(START_LIMIT)
            received = [mac.sync().received, mac.sync().received]
            new.sync()
            assert not importing.done()
        assert (received[0] > 0, received[1]) == (True, 0)
        assert mac.rules == new.rules == before
        assert importing.result().json()["added"] == len(rows)
        mac.sync()
        new.sync()
        assert mac.rules == new.rules == effective(admin)
        assert len(mac.rules) == len(before) + len(rows)
