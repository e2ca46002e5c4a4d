"""A PostgreSQL of its own for a test run, on a Unix socket only; no installation is touched.

Binaries: SANTA_PG_BIN, else the repository's .dev/tools/postgres/bin, else the system's. PostgreSQL
refuses to run as root, so it runs as an unprivileged user then.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg

REPOSITORY = Path(__file__).resolve().parents[3]
NOBODY = 65534
START_LIMIT = 30.0
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


class Cluster:
    """A running PostgreSQL with a migrated template database."""

    def __init__(self) -> None:
        """Initialise and start it."""
        self.folder = Path(tempfile.mkdtemp(prefix="santaserver-pg-"))
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, self._user, self._user)
        self._bin = binaries()
        self._number = 0
        self._initdb()
        self._process = self._start()

    def dsn(self, database: str) -> str:
        """Return the address of one database."""
        return f"postgresql://santa@/{database}?host={self.folder}"

    def create(self, template: str = "template1") -> str:
        """Create a database and return its name."""
        self._number += 1
        name = f"test_{self._number}"
        self._admin(f"create database {name} template {template}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        self._admin(f"drop database {name} with (force)")

    def pause(self) -> None:
        """Stop answering and refuse connections, as a database that went away."""
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
            "santa",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        )
        command = [str(self._bin / "initdb"), *options, "-D", str(self.folder / "data")]
        done = subprocess.run(  # noqa: S603 - the found initdb
            command,
            user=self._user,
            group=self._user,
            extra_groups=self._groups(),
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr.decode()}")

    def _start(self) -> subprocess.Popen[bytes]:
        settings = ("listen_addresses=", f"unix_socket_directories={self.folder}", *FAST)
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "data")]
        command += [part for setting in settings for part in ("-c", setting)]
        log = self.folder.joinpath("postgres.log").open("ab")
        process = subprocess.Popen(  # noqa: S603 - the found postgres
            command, user=self._user, group=self._user, extra_groups=self._groups(), stdout=log, stderr=log
        )
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

    def _groups(self) -> Sequence[int] | None:
        return [] if self._user is not None else None


def execute(dsn: str, statement: str, *args: object) -> None:
    """Run a statement on a connection of its own."""

    async def run() -> None:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            await connection.execute(statement, *args)
        finally:
            await connection.close()

    asyncio.run(run())


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
