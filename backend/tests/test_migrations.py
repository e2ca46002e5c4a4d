"""The schema's history."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from santaserver import migrations
from santaserver.migrations import files
from santaserver.migrations.files import Applied, Migration, MigrationError, load, missing
from santaserver.migrations.lock_holders import in_the_way
from santaserver.migrations.runner import Outcome, migrate
from tests.support.postgres import Cluster, execute, fetch, held, value

TABLES = "select tablename from pg_tables where schemaname = 'public' order by 1"


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[str]:
    """A database without tables."""
    name = cluster.create()
    yield cluster.dsn(name)
    cluster.drop(name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Migrations of a test's own."""
    known = files.load
    monkeypatch.setattr("santaserver.migrations.runner.load", lambda: known(tmp_path))
    return tmp_path


def named(version: int, sql: str = "", needs: int = 0) -> Migration:
    """Return a migration that is in no file."""
    return Migration(version, f"{version:04d}_name", sql, f"checksum of {version}", needs)


def stored(*migrations_: Migration) -> dict[int, Applied]:
    """Return what a database says that had these applied."""
    return {one.version: Applied(one.name, one.checksum, one.needs) for one in migrations_}


def test_the_named_head_is_the_newest_file() -> None:
    assert load()[-1].version == migrations.HEAD


def test_a_second_run_changes_nothing(empty: str) -> None:
    assert asyncio.run(migrate(empty)) is Outcome.MIGRATED
    applied = fetch(empty, "select * from schema_version")
    assert [row["name"] for row in applied] == [one.name for one in load()]
    assert asyncio.run(migrate(empty)) is Outcome.UP_TO_DATE
    assert fetch(empty, "select * from schema_version") == applied


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_several_at_once_do_not_collide(cluster: Cluster, empty: str, isolation: str) -> None:
    name = value(empty, "select current_database()")
    execute(
        cluster.dsn("postgres"), f"alter database {name} set default_transaction_isolation = '{isolation}'"
    )

    async def together() -> list[Outcome]:
        return await asyncio.gather(*(migrate(empty) for _ in range(4)))

    outcomes = asyncio.run(together())
    assert sorted(outcome.name for outcome in outcomes) == [
        "MIGRATED",
        "UP_TO_DATE",
        "UP_TO_DATE",
        "UP_TO_DATE",
    ]


def test_files_are_applied_one_by_one_and_the_rest_later(empty: str, folder: Path) -> None:
    (folder / "0001_one.sql").write_text("create table one (id int); insert into one values (1);")
    (folder / "0002_broken.sql").write_text("create table two (id int);\nselect nothing;")
    with pytest.raises(MigrationError, match=r"0002_broken failed and was rolled back: .*nothing"):
        asyncio.run(migrate(empty))
    assert fetch(empty, TABLES) == [{"tablename": "one"}, {"tablename": "schema_version"}]
    (folder / "0002_broken.sql").write_text("create table two (id int);")
    assert asyncio.run(migrate(empty)) is Outcome.MIGRATED
    assert fetch(empty, "select version, needs from schema_version order by 1") == [
        {"version": 1, "needs": 0},
        {"version": 2, "needs": 0},
    ]


def test_a_newer_schema_is_left_alone_so_that_a_rollback_works(empty: str) -> None:
    asyncio.run(migrate(empty))
    execute(empty, "insert into schema_version values (9999, '9999_later', 'x', $1)", migrations.HEAD)
    assert asyncio.run(migrate(empty)) is Outcome.NEWER
    assert value(empty, "select max(version) from schema_version") == 9999


def test_a_schema_that_lost_what_this_version_needs_is_refused(empty: str) -> None:
    asyncio.run(migrate(empty))
    execute(empty, "insert into schema_version values (9999, '9999_later', 'x', 9000)")
    with pytest.raises(MigrationError, match=r"9999_later by a newer version .* restore the backup"):
        asyncio.run(migrate(empty))


def test_what_a_file_needs_is_read_from_it(tmp_path: Path) -> None:
    (tmp_path / "0001_one.sql").write_text("select 1;")
    (tmp_path / "0002_two.sql").write_text("-- Drops it.\n-- needs: 0001\n\nselect 2;")
    assert [one.needs for one in load(tmp_path)] == [0, 1]


@pytest.mark.parametrize("name", ["0003_gap.sql", "0000_zero.sql", "two.sql", "0002_Two.sql", "2_two.sql"])
def test_files_that_are_not_numbered_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "0001_one.sql").write_text("select 1;")
    (tmp_path / name).write_text("select 2;")
    with pytest.raises(MigrationError):
        load(tmp_path)


def test_a_file_that_changed_after_it_was_applied_is_refused(empty: str, folder: Path) -> None:
    (folder / "0001_one.sql").write_text("create table one (id int);")
    asyncio.run(migrate(empty))
    (folder / "0001_one.sql").write_text("create table one (id bigint);")
    with pytest.raises(MigrationError, match="0001_one as it was before the file changed"):
        asyncio.run(migrate(empty))


def test_a_database_of_another_build_is_refused() -> None:
    one, two, three = named(1), named(2), named(3)
    assert missing([one, two, three], stored(one)) == [two, three]
    with pytest.raises(MigrationError, match="0003_name but not 0002_name"):
        missing([one, two, three], stored(one, three))
    with pytest.raises(MigrationError, match="0003_name but not 0002_name"):
        missing([one, two], stored(one, three))


def test_a_database_from_before_the_files_is_refused(empty: str) -> None:
    execute(empty, "create table alembic_version (version_num text)")
    execute(empty, "insert into alembic_version values ('0110')")
    with pytest.raises(MigrationError, match=r"schema 0110.*cargo xtask dev --fresh"):
        asyncio.run(migrate(empty))
    assert fetch(empty, TABLES) == [{"tablename": "alembic_version"}]


def test_a_failed_migration_leaves_nothing_behind(empty: str) -> None:
    execute(empty, "create table event (mine int)")
    with pytest.raises(MigrationError, match="already exists"):
        asyncio.run(migrate(empty))
    assert fetch(empty, TABLES) == [{"tablename": "event"}]


def test_a_table_in_use_is_waited_for_a_little_and_then_again(
    empty: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("santaserver.migrations.runner.LOCK_TIMEOUT", "10ms")
    monkeypatch.setattr("santaserver.migrations.runner.LOCK_PAUSES", (0.01,))
    (folder / "0001_one.sql").write_text("create table one (id int);")
    asyncio.run(migrate(empty))
    (folder / "0002_two.sql").write_text("alter table one add column two int;")
    with (
        held(
            empty,
            "select set_config('application_name', 'report', false); lock table one in access share mode",
        ),
        pytest.raises(MigrationError) as refused,
    ):
        asyncio.run(migrate(empty))
    message = str(refused.value)
    found = re.search(
        r"0002_two could not lock its tables in 2 attempts and changed nothing\. "
        r"process (\d+) \(.*report\) uses one: idle in transaction; "
        r"its transaction is \d+ s old; its last statement began \d+ s ago",
        message,
    )
    assert found, message
    assert f"select pg_terminate_backend({found[1]})" in message
    assert value(empty, "select max(version) from schema_version") == 1
    assert asyncio.run(migrate(empty)) is Outcome.MIGRATED


def test_requests_are_served_while_a_migration_waits_for_a_long_transaction(
    empty: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("santaserver.migrations.runner.LOCK_TIMEOUT", "100ms")
    (folder / "0001_one.sql").write_text("create table one (id int);")
    asyncio.run(migrate(empty))
    (folder / "0002_two.sql").write_text("alter table one add column two int;")

    async def serve_meanwhile() -> None:
        queued = "select 1 from pg_locks where not granted and mode = 'AccessExclusiveLock'"
        connection = await asyncpg.connect(empty, timeout=5)
        migrating = asyncio.create_task(migrate(empty))
        try:
            while not await connection.fetchval(queued):
                assert not migrating.done()
            # Behind the migration, which is behind the long transaction, which does not end.
            assert await connection.fetch("select * from one", timeout=30) == []
            assert not migrating.done()
        finally:
            migrating.cancel()
            await asyncio.gather(migrating, return_exceptions=True)
            await connection.close()

    with held(empty, "lock table one in access share mode"):
        asyncio.run(serve_meanwhile())
    assert value(empty, "select max(version) from schema_version") == 1


def test_tables_that_others_use_in_turn_are_said_to_be() -> None:
    assert "others use them all the time" in in_the_way(named(2), 8, [])


def test_waiting_for_a_database_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("santaserver.migrations.runner.RETRY_DELAYS", (0.0,))
    with pytest.raises((OSError, asyncpg.PostgresError)):
        asyncio.run(migrate("postgresql://nobody@/none?host=/nonexistent"))
