"""The commands as processes: pipes, a terminal, a kill in the middle, backups while others write."""

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tests.backup.helpers import KEY, Databases, put, tables_of, take
from tests.conftest import ADMIN
from tests.support.postgres import Cluster, as_server, fetch, value
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, remove_rule, sha

BACKEND = Path(__file__).parents[2]
LIMIT = 40.0
ROUNDS = 4
STORING = "select count(*) from pg_stat_activity where datname = $1 and query like 'COPY%FROM STDIN%'"
CONNECTED = "select count(*) from pg_stat_activity where datname = $1"


def started(
    dsn: str | None,
    *words: str,
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start a command; without a database it has no settings at all."""
    known = {"DATABASE_URL": as_server(dsn), "DATABASE_OWNER_URL": dsn, "SECRET_KEY": KEY} if dsn else {}
    environ = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **known}
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "santaserver", *words],
        env=environ,
        cwd=BACKEND,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def finished(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    """Wait for its end; return exit code, standard output and error."""
    out, error = process.communicate(timeout=LIMIT)
    return process.returncode, out, error.decode()


def test_a_backup_goes_through_pipes(full: str, empty: str) -> None:
    code, content, error = finished(started(full, "backup", "--events"))
    assert (code, "SECRET_KEY" in error) == (0, True), error
    for dsn, words in ((None, ("restore", "--check", "-")), (empty, ("restore", "-"))):
        process = started(dsn, *words, stdin=subprocess.PIPE)
        out, said = process.communicate(content, timeout=LIMIT)
        assert (process.returncode, out) == (0, b""), said.decode()
    assert value(empty, "select count(*) from machine") == 3


def test_a_terminal_gets_no_backup(full: str) -> None:
    ours, theirs = pty.openpty()
    code, _, error = finished(started(full, "backup", stdout=theirs))
    os.close(theirs)
    os.close(ours)
    assert (code, "> FILE" in error) == (2, True), error


def test_a_backup_that_nobody_reads_fails(full: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code, _, error = finished(started(full, "backup", stdout=writing))
    os.close(writing)
    assert (code, "no backup was made" in error) == (1, True), error


def test_what_to_restore_has_to_be_said() -> None:
    assert finished(started(None, "restore"))[0] == 2
    assert finished(started(None, "restore", "--in-place", "FILE"))[0] == 2


def test_a_restore_that_is_killed_leaves_an_empty_database(
    cluster: Cluster, whole: bytes, empty: str, tmp_path: Path
) -> None:
    name, beside = urlsplit(empty).path.removeprefix("/"), cluster.dsn("postgres")
    process = started(empty, "restore", "-", stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(whole[: len(whole) * 3 // 4])
    process.stdin.flush()
    deadline = time.monotonic() + LIMIT
    while not value(beside, STORING, name):
        assert time.monotonic() < deadline, "it stores nothing"
        assert process.poll() is None, finished(process)[2]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=LIMIT)
    while value(beside, CONNECTED, name):
        assert time.monotonic() < deadline, "its session does not end"
        time.sleep(0.01)
    assert tables_of(empty) == set()
    assert put(empty, whole, tmp_path) == 0


def test_a_backup_during_changes_is_one_moment(
    server: RunningServer, databases: Databases, tmp_path: Path
) -> None:
    stopping = threading.Event()

    def write(worker: int) -> None:
        with server.client() as admin:
            login = {"username": ADMIN[0], "password": ADMIN[1]}
            admin.post("/api/v1/auth/login", json=login).raise_for_status()
            number = worker * 100_000
            while not stopping.is_set():
                number += 1
                made = add_rule(admin, sha(number))
                if number % 3 == 0:
                    remove_rule(admin, made)

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(2)]
    for writer in writers:
        writer.start()
    try:
        deadline = time.monotonic() + LIMIT
        taken: list[bytes] = []
        while len(taken) < ROUNDS:
            assert time.monotonic() < deadline
            if value(server.dsn, "select seq from policy_head") > 5 * (len(taken) + 1):
                taken.append(take(server.dsn))
    finally:
        stopping.set()
        for writer in writers:
            writer.join(LIMIT)
    for content in taken:
        dsn = databases.empty()
        assert put(dsn, content, tmp_path) == 0  # which verifies the audit log
        head = value(dsn, "select max(seq) from policy_change where kind <> 'restore'")
        assert head > 5
        assert value(dsn, "select count(*) from policy_change where kind <> 'restore'") == head
        found = fetch(
            dsn,
            """select (select max(greatest(opened_seq, closed_seq)) from rule_version) as newest,
                 (select count(*) from rule_version)
                   + (select count(*) from rule where removed_at is not null) as changes,
                 (select count(*) from rule) = (select count(distinct rule_id) from rule_version) as whole,
                 (select count(*) from audit_log
                   where action in ('rule_created', 'rule_removed')) as audited""",
        )[0]
        assert found == {"newest": head, "changes": head, "whole": True, "audited": head}
