"""Fixtures: a PostgreSQL per test process, a fresh migrated database and a running server per test."""

import asyncio
import logging
from collections.abc import Iterator

import httpx
import pytest
from argon2 import PasswordHasher

from santaserver.accounts import create_admin, create_enrollment
from santaserver.logs import JsonFormatter
from santaserver.migrations.runner import migrate
from santaserver.settings import load
from santaserver.users import passwords
from tests.support import secrets
from tests.support.postgres import Cluster, as_server, execute
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

ADMIN = ("admin", "correct horse battery")
SECRET = "enrollment-secret-of-the-tests"
passwords.STRENGTH = passwords.Strength(time_cost=1, memory_cost=8, parallelism=1)
QUICK = PasswordHasher(**passwords.STRENGTH._asdict())
"""Makes hashes that are cheap to check: most tests log in."""


@pytest.fixture(scope="session", autouse=True)
def _log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Write what the servers of this process log, as production does, and look for secrets in it."""
    path = tmp_path_factory.mktemp("log") / "log"
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(JsonFormatter())
    loggers = [logging.getLogger(name) for name in ("santaserver", "uvicorn", "asyncio")]
    for logger in loggers:
        logger.addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    for name in ("httpx", "httpcore", "hypothesis"):  # only the servers' log lines matter
        logging.getLogger(name).setLevel(logging.WARNING)
    yield
    for logger in loggers:
        logger.removeHandler(handler)
    handler.close()
    secrets.remember(ADMIN[1], SECRET)
    assert secrets.lines_with_secrets(path.read_text().splitlines()) == []


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that lives as long as this test process."""
    running = Cluster()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """A migrated database with an administrator and an enrollment, to copy from."""
    name = cluster.create()
    dsn = cluster.dsn(name)
    asyncio.run(migrate(dsn, as_server(dsn)))
    settings = load({"DATABASE_URL": dsn})
    asyncio.run(create_admin(settings, *ADMIN))
    asyncio.run(create_enrollment(settings, "tests", secret=SECRET))
    execute(dsn, "update app_user set password_hash = $1", QUICK.hash(ADMIN[1]))
    return name


@pytest.fixture
def dsn(cluster: Cluster, template: str) -> Iterator[str]:
    """A fresh database."""
    name = cluster.create(template)
    yield cluster.dsn(name)
    cluster.drop(name)


@pytest.fixture
def server(dsn: str) -> Iterator[RunningServer]:
    """The application, serving."""
    with RunningServer(dsn) as running:
        yield running


@pytest.fixture
def anonymous(server: RunningServer) -> Iterator[httpx.Client]:
    """A client that is not logged in."""
    with server.client() as client:
        yield client


@pytest.fixture
def admin(server: RunningServer) -> Iterator[httpx.Client]:
    """A client with an administrator's session."""
    with server.client() as client:
        response = client.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
        assert response.status_code == httpx.codes.OK, response.text
        yield client


@pytest.fixture
def viewer(server: RunningServer) -> Iterator[httpx.Client]:
    """A client with the session of a user who may only look."""
    add_viewer(server.dsn)
    with server.client() as client:
        response = client.post("/api/v1/auth/login", json={"username": "viewer", "password": ADMIN[1]})
        assert response.status_code == httpx.codes.OK, response.text
        yield client


def add_viewer(dsn: str) -> None:
    """Make the account `viewer`, with the administrator's password."""
    add_user(dsn, "viewer", "viewer")


def add_user(dsn: str, name: str, role: str | None = None, tag: int | None = None) -> None:
    """Make an account with one role or none, and the administrator's password."""
    execute(
        dsn,
        "insert into app_user (username, name_key, display_name, password_hash, created_at) "
        "select $1, $1, initcap($1), password_hash, created_at from app_user where username = 'admin'",
        name,
    )
    if role is None:
        return
    execute(
        dsn,
        "insert into binding (user_id, role, tag_id, created_at) "
        "select id, $2, $3, created_at from app_user where username = $1",
        name,
        role,
        tag,
    )


@pytest.fixture
def mac(server: RunningServer) -> Iterator[SimulatedMac]:
    """A Mac that has never synced."""
    made = SimulatedMac(server.url)
    yield made
    made.close()
