"""A directory with a token; the tests of a file share a server, and begin without people and groups."""

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import ADMIN
from tests.scim.directory import Directory, new_token
from tests.support.postgres import Cluster, execute
from tests.support.server import RunningServer

LOGIN = {"username": ADMIN[0], "password": ADMIN[1]}


@pytest.fixture(scope="module")
def shared_directory(cluster: Cluster, template: str) -> Iterator[Directory]:
    """The directory of a file's tests."""
    name = cluster.create(template)
    with RunningServer(cluster.dsn(name)) as server, server.client() as admin:
        admin.post("/api/v1/auth/login", json=LOGIN).raise_for_status()
        with Directory(server, new_token(admin, server)["secret"], admin) as made:
            yield made
    cluster.drop(name)


@pytest.fixture
def directory(shared_directory: Directory) -> Iterator[Directory]:
    """Return it."""
    yield shared_directory
    dsn = shared_directory.server.dsn
    execute(dsn, "delete from user_group")
    execute(dsn, "delete from app_user where username <> $1", ADMIN[0])


@pytest.fixture
def admin(directory: Directory) -> httpx.Client:
    """Return the client of an administrator, who logged in a moment ago."""
    directory.admin.post("/api/v1/auth/login", json=LOGIN).raise_for_status()
    return directory.admin
