"""A PgBouncer in transaction mode between a server and the PostgreSQL of the tests."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg
import pytest

from tests.support.postgres import AS_NOBODY_SPECIAL, OWNER, SERVER, START_LIMIT, Cluster, execute

SESSIONS = 3
"""Sessions of PostgreSQL that all clients share."""
PORT = 6432
SYSTEM = "/usr/sbin:/usr/local/sbin"


def program() -> str:
    """Return PgBouncer's path; without it the test fails in CI and is skipped elsewhere."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:{SYSTEM}")
    if found is None:
        lacking = "PgBouncer is not installed (on Debian: apt-get install pgbouncer)"
        if os.environ.get("CI"):
            pytest.fail(lacking)
        pytest.skip(lacking)
    return found


class PgBouncer:
    """One pooler for all databases of a cluster; use it as a context manager."""

    def __init__(self, cluster: Cluster) -> None:
        """Write its configuration."""
        self._program = program()
        self._folder = Path(tempfile.mkdtemp(prefix="santaserver-pgbouncer-", dir=cluster.folder))
        (self._folder / "users").write_text("".join(f'"{role}" ""\n' for role in (OWNER, SERVER)))
        (self._folder / "pgbouncer.ini").write_text(
            f"""[databases]
* = host={cluster.folder}

[pgbouncer]
unix_socket_dir = {self._folder}
listen_port = {PORT}
auth_type = trust
auth_file = {self._folder}/users
pool_mode = transaction
default_pool_size = {SESSIONS}
max_client_conn = 1000
"""
        )

    def dsn(self, direct: str) -> str:
        """Return the address by which a database is reached through the pooler."""
        return f"{direct.partition('?')[0]}?host={self._folder}&port={PORT}"

    def __enter__(self) -> Self:
        """Start it and wait until it accepts connections."""
        prefix = AS_NOBODY_SPECIAL if os.geteuid() == 0 else ()
        command = [*prefix, self._program, "--quiet", str(self._folder / "pgbouncer.ini")]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - the found program
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                execute(self.dsn("postgresql://santa@/postgres"), "select 1")
            except (OSError, asyncpg.PostgresError):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it at once, with all its connections."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)
