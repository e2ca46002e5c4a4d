"""A PostgreSQL of its own for a test run, on a Unix socket only; no installation is touched.

Binaries: SANTA_PG_BIN, else the repository's .dev/tools/postgres/bin, else the system's. PostgreSQL
refuses to run as root, so root starts it in a user namespace, where it has another number.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg

REPOSITORY = Path(__file__).resolve().parents[3]
AS_NOBODY_SPECIAL = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
OWNER, SERVER = "santa", "santa_server"
"""The role that owns each database, and the one that servers log in as, which only reads and writes rows."""
WITH_PASSWORD = "with_password"
"""A role, to be made by a test, that is asked for its password; all others are let in."""
START_LIMIT = 30.0
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made below it
ROOM = 2 << 30
"""Bytes that a file system in memory must have free to hold a cluster."""
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


def binaries() -> Path:
    """Return the directory that has initdb and postgres."""
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    candidates = [REPOSITORY / ".dev/tools/postgres/bin", *reversed(system)]
    if chosen := os.environ.get("SANTA_PG_BIN"):
        candidates = [Path(chosen)]
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    raise RuntimeError(
        f"no PostgreSQL in {', '.join(map(str, candidates))}: set SANTA_PG_BIN to its bin directory"
    )


def home() -> Path:
    """Return where clusters lie: in memory where there is room, for a database is some 300 new files."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM
    return MEMORY if roomy else Path(tempfile.gettempdir())


def as_server(dsn: str) -> str:
    """Return the address with the role that servers log in as."""
    return dsn.replace(f"postgresql://{OWNER}@", f"postgresql://{SERVER}@")


class Cluster:
    """A running PostgreSQL with a migrated template database."""

    def __init__(self, *settings: str) -> None:
        """Initialize and start it, with these settings beside the usual ones."""
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="santaserver-pg-", dir=home()))
        self._prefix = AS_NOBODY_SPECIAL if os.geteuid() == 0 else ()
        self._bin = binaries()
        self._number = 0
        self._initdb()
        self._process = self._start()
        self._admin(f"create role {SERVER} login")

    def dsn(self, database: str) -> str:
        """Return the address of one database."""
        return f"postgresql://{OWNER}@/{database}?host={self.folder}"

    def create(self, template: str = "template1") -> str:
        """Create a database and return its name."""
        self._number += 1
        name = f"test_{self._number}"
        self._admin(f"create database {name} template {template} strategy file_copy")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        self._admin(f"drop database {name} with (force)")

    def pause(self) -> None:
        """Stop responding and refuse connections, like an unreachable database."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    def resume(self) -> None:
        """Come back."""
        self._process = self._start()

    def ensure_running(self) -> None:
        """Come back unless it is there."""
        if self._process.poll() is not None:
            self.resume()

    def stop(self) -> None:
        """Stop for good and leave nothing behind."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        shutil.rmtree(self.folder)

    def _admin(self, statement: str) -> None:
        execute(self.dsn("postgres"), statement)

    def _initdb(self) -> None:
        options = (
            "--no-sync",
            "--no-instructions",
            "-A",
            "trust",
            "-U",
            OWNER,
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        )
        command = [*self._prefix, str(self._bin / "initdb"), *options, "-D", str(self.folder / "data")]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - the found initdb
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr.decode()}")
        rules = self.folder / "data/pg_hba.conf"
        rules.write_text(f"local all {WITH_PASSWORD} scram-sha-256\n{rules.read_text()}")

    def _start(self) -> subprocess.Popen[bytes]:
        settings = ("listen_addresses=", f"unix_socket_directories={self.folder}", *FAST, *self._settings)
        command = [*self._prefix, str(self._bin / "postgres"), "-D", str(self.folder / "data")]
        command += [part for setting in settings for part in ("-c", setting)]
        log = self.folder.joinpath("postgres.log").open("ab")
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - the found postgres
        log.close()
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                execute(self.dsn("postgres"), "select 1")
            except (OSError, asyncpg.PostgresError):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return process


def execute(dsn: str, statement: str, *args: object) -> None:
    """Run a statement on a connection of its own."""

    async def run() -> None:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            await connection.execute(statement, *args)
        finally:
            await connection.close()

    asyncio.run(run())


class Holder:
    """A transaction that holds a lock during a test."""

    def __init__(self, limit: float) -> None:
        """Wait for things up to `limit` seconds."""
        self._limit = limit

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something has happened."""
        deadline = time.monotonic() + self._limit
        while not reached():
            assert time.monotonic() < deadline, "what was waited for did not happen"
            time.sleep(0.02)


@contextmanager
def held(dsn: str, statement: str) -> Iterator[Holder]:
    """Keep a transaction open that has run `statement`."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(dsn, timeout=5))
        try:
            runner.run(connection.execute(f"begin; {statement}"))
            yield Holder(START_LIMIT)
        finally:
            with suppress(
                OSError, asyncpg.PostgresError, asyncpg.InternalClientError
            ):  # it may have been ended
                runner.run(connection.close(timeout=5))


def fetch(dsn: str, query: str, *args: object) -> list[dict[str, Any]]:
    """Return the rows of a query on a connection of its own."""

    async def run() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            return [dict(row) for row in await connection.fetch(query, *args)]
        finally:
            await connection.close()

    return asyncio.run(run())


def value(dsn: str, query: str, *args: object) -> Any:  # noqa: ANN401 - a value of any type
    """Return the first column of the first row."""
    rows = fetch(dsn, query, *args)
    return next(iter(rows[0].values())) if rows else None
