"""Databases with rows in every table, backups of them, empty databases to restore into."""

from collections.abc import Iterator

import pytest

from tests.backup.helpers import ROWS, Databases, take
from tests.support.postgres import Cluster, execute


@pytest.fixture(scope="session")
def full_template(cluster: Cluster, template: str) -> str:
    """A database with rows in every table, to copy from."""
    name = cluster.create(template)
    execute(cluster.dsn(name), ROWS.read_text("utf-8"))
    return name


@pytest.fixture
def full(cluster: Cluster, full_template: str) -> Iterator[str]:
    """A database of one's own with rows in every table."""
    name = cluster.create(full_template)
    yield cluster.dsn(name)
    cluster.drop(name)


@pytest.fixture(scope="session")
def whole(cluster: Cluster, full_template: str) -> bytes:
    """A backup with events."""
    return take(cluster.dsn(full_template), events=True)


@pytest.fixture
def databases(cluster: Cluster) -> Iterator[Databases]:
    """Makes databases without anything in them."""
    made = Databases(cluster)
    yield made
    made.drop()


@pytest.fixture
def empty(databases: Databases) -> str:
    """A database without anything in it."""
    return databases.empty()
