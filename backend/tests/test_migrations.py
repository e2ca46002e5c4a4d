"""The schema's history."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from santaserver import migrations
from santaserver.db import make_engine
from santaserver.migrations.runner import Outcome, migrate
from santaserver.models import Base
from tests.support.postgres import Cluster, execute, fetch, value

FOLDER = Path(migrations.__file__).parent
LEFT_FOR_ROLLBACK = {("machine", "last_preflight_at"), ("machine", "last_postflight_at")}
"""Columns that only the release before reads: the schema keeps them, so that a rollback works."""


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[str]:
    """A database without tables."""
    name = cluster.create()
    yield cluster.dsn(name)
    cluster.drop(name)


def test_the_named_head_is_the_newest_revision() -> None:
    script = ScriptDirectory(str(FOLDER))
    assert script.get_heads() == [migrations.HEAD]
    numbers = sorted(path.name[:4] for path in (FOLDER / "versions").glob("0*.py"))
    assert [revision.revision for revision in reversed(list(script.walk_revisions()))] == numbers


def test_a_second_run_changes_nothing(empty: str) -> None:
    assert asyncio.run(migrate(empty)) is Outcome.MIGRATED
    assert asyncio.run(migrate(empty)) is Outcome.UP_TO_DATE


def test_several_at_once_do_not_collide(empty: str) -> None:
    async def together() -> list[Outcome]:
        return await asyncio.gather(*(migrate(empty) for _ in range(4)))

    outcomes = asyncio.run(together())
    assert sorted(outcome.name for outcome in outcomes) == [
        "MIGRATED",
        "UP_TO_DATE",
        "UP_TO_DATE",
        "UP_TO_DATE",
    ]


def test_a_newer_schema_is_left_alone_so_that_a_rollback_works(empty: str) -> None:
    asyncio.run(migrate(empty))
    execute(empty, "update alembic_version set version_num = '9999'")
    assert asyncio.run(migrate(empty)) is Outcome.NEWER
    assert value(empty, "select version_num from alembic_version") == "9999"


def test_a_failed_migration_leaves_nothing_behind(empty: str) -> None:
    execute(empty, "create table event (mine int)")
    with pytest.raises(Exception, match="already exists"):
        asyncio.run(migrate(empty))
    tables = [row["relname"] for row in fetch(empty, "select relname from pg_stat_user_tables")]
    assert tables == ["event"]


def test_the_models_have_the_columns_of_the_schema(dsn: str) -> None:
    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found: list[object] = []
        for change in compare_metadata(context, Base.metadata):
            found += change if isinstance(change, list) else [change]
        return found

    async def run() -> list[object]:
        engine = make_engine(dsn)
        async with engine.connect() as connection:
            found = await connection.run_sync(compare)
        await engine.dispose()
        return found

    changes = [change for change in asyncio.run(run()) if isinstance(change, tuple)]
    columns = {"add_table", "add_column", "remove_column", "modify_type", "modify_nullable"}
    found = [change for change in changes if change[0] in columns]
    left = {(change[2], change[3].name) for change in found if change[0] == "remove_column"}
    assert left == LEFT_FOR_ROLLBACK
    assert [change for change in found if change[0] != "remove_column"] == []


def test_waiting_for_a_database_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("santaserver.migrations.runner.RETRY_DELAYS", (0.0,))
    with pytest.raises((OSError, asyncpg.PostgresError)):
        asyncio.run(migrate("postgresql://nobody@/none?host=/nonexistent"))
