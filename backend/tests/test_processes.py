"""The commands as processes: serving on a handed-down socket, stopping, reloading from changed sources."""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from santaserver.__main__ import main as run_command
from santaserver.migrations import HEAD
from tests.conftest import ADMIN
from tests.support import secrets
from tests.support.postgres import Cluster, value
from tests.support.sockets import listen_on_loopback

BACKEND = Path(__file__).parents[1]
LIMIT = 40.0


class Command:
    """A `python -m santaserver` process whose output is collected."""

    def __init__(
        self, dsn: str, *arguments: str, sock: socket.socket | None = None, folder: Path = BACKEND
    ) -> None:
        """Start it; `sock` is handed down."""
        environ = {
            **os.environ,
            "DATABASE_URL": dsn,
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "santaserver", *arguments],
            env=environ,
            cwd=folder,
            pass_fds=[sock.fileno()] if sock else [],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until the output has `text` so many times."""
        deadline = time.monotonic() + LIMIT
        while sum(text in line for line in self.lines) < times:
            assert time.monotonic() < deadline, "".join(self.lines)
            assert self.process.poll() is None or text in "".join(self.lines), "".join(self.lines)
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(how)
        return self.finish()

    def finish(self) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        assert self.process.stdout
        self.process.stdout.close()
        secrets.remember(*ADMIN[1:])
        assert secrets.lines_with_secrets(self.lines) == []
        return code


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    """A listening socket as a supervisor holds it."""
    made = listen_on_loopback()
    yield made
    made.close()


def url(sock: socket.socket) -> str:
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


def test_a_worker_serves_on_a_handed_down_socket_and_stops_with_zero(dsn: str, sock: socket.socket) -> None:
    command = Command(dsn, "serve", "--fd", str(sock.fileno()), sock=sock)
    response = httpx.get(f"{url(sock)}/health/ready", timeout=LIMIT)
    assert response.status_code == httpx.codes.OK
    assert command.stop() == 0
    lines = [json.loads(line) for line in command.lines]
    assert {"ts", "level", "logger", "message"} <= set(lines[0])
    assert lines[-1]["message"] == "stopped"


def test_a_replaced_worker_loses_no_request(dsn: str, sock: socket.socket) -> None:
    first = Command(dsn, "serve", "--fd", str(sock.fileno()), sock=sock)
    first.wait_for('"ready"')
    failures: list[Exception] = []
    served = 0
    done = threading.Event()

    def keep_asking() -> None:
        nonlocal served
        while not done.is_set():
            try:
                assert httpx.get(f"{url(sock)}/health/ready", timeout=LIMIT).status_code == httpx.codes.OK
                served += 1
            except Exception as error:  # noqa: BLE001 - any failure counts
                failures.append(error)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    second = Command(dsn, "serve", "--fd", str(sock.fileno()), sock=sock)
    second.wait_for('"ready"')
    assert first.stop() == 0
    before = served
    while served < before + 5:
        time.sleep(0.01)
    done.set()
    asking.join(LIMIT)
    assert second.stop() == 0
    assert failures == []


def test_a_unix_socket_of_its_own_is_private_and_is_not_stolen(dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = Command(dsn, "serve", "--uds", str(path))
    first.wait_for('"ready"')
    assert path.stat().st_mode & 0o777 == 0o600
    second = Command(dsn, "serve", "--uds", str(path))
    assert second.finish() == 1
    assert "in use by another process" in "".join(second.lines)
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=LIMIT) as client:
        assert client.get("http://backend/health/ready").status_code == httpx.codes.OK
    assert first.stop() == 0


def test_a_wrong_descriptor_and_a_wrong_configuration_say_so(dsn: str) -> None:
    bad = Command(dsn, "serve", "--fd", "99")
    assert bad.finish() == 1
    assert "descriptor 99 is not an inherited socket" in "".join(bad.lines)
    os.environ["UVICORN_WORKERS"] = "none"
    try:
        wrong = Command(dsn, "migrate")
    finally:
        del os.environ["UVICORN_WORKERS"]
    assert wrong.finish() == 78
    assert "UVICORN_WORKERS" in "".join(wrong.lines)
    assert "Traceback" not in "".join(bad.lines + wrong.lines)


def test_migrate_and_demo_can_be_repeated(cluster: Cluster) -> None:
    """Without an account nobody can have made tags: tests/test_demo.py has the whole demo."""
    name = cluster.create()
    dsn = cluster.dsn(name)
    for words in (("migrate", "MIGRATED"), ("migrate", ""), ("demo", ""), ("demo", "")):
        command = Command(dsn, words[0])
        assert command.finish() == 0, command.lines
    counts = {table: value(dsn, f"select count(*) from {table}") for table in ("machine", "rule", "event")}  # noqa: S608
    assert (counts["machine"], counts["rule"]) == (24, 40)
    assert counts["event"] > 300
    policies = value(dsn, "select array_agg(distinct policy order by policy) from rule_version")
    assert len(policies) == 7
    cluster.drop(name)


def test_an_administrator_can_be_made_from_the_command_line(dsn: str, sock: socket.socket) -> None:
    command = [sys.executable, "-m", "santaserver", "create-admin", "Second", "--password-stdin"]
    environ = {**os.environ, "DATABASE_URL": dsn, "PYTHONPATH": str(BACKEND)}
    for password, code in (("short", 1), ("a longer password", 0)):
        done = subprocess.run(  # noqa: S603 - our own command
            command, env=environ, input=password + "\n", text=True, capture_output=True, check=False
        )
        assert done.returncode == code, done.stdout
    worker = Command(dsn, "serve", "--fd", str(sock.fileno()), sock=sock)
    login = {"username": "second", "password": "a longer password"}
    assert (
        httpx.post(f"{url(sock)}/api/v1/auth/login", json=login, timeout=LIMIT).status_code == httpx.codes.OK
    )
    assert worker.stop() == 0
    assert ADMIN[0] != "second"


def test_the_development_server_takes_changes_over_and_survives_errors(
    dsn: str, sock: socket.socket, tmp_path: Path
) -> None:
    shutil.copytree(BACKEND / "santaserver", tmp_path / "santaserver")
    source = tmp_path / "santaserver" / "health" / "router.py"
    original = source.read_text()
    command = Command(dsn, "dev", "--fd", str(sock.fileno()), sock=sock, folder=tmp_path)
    command.wait_for('"ready"')

    def status() -> str:
        text: str = httpx.get(f"{url(sock)}/health/ready", timeout=LIMIT).json()["status"]
        return text

    assert status() == "ready"
    source.write_text(original.replace('"ready" if fine', '"changed" if fine'))
    command.process.send_signal(signal.SIGHUP)
    command.wait_for('"ready"', 2)
    command.wait_for('"stopped"')
    assert status() == "changed"
    source.write_text("def broken(:")
    command.process.send_signal(signal.SIGHUP)
    command.wait_for("the previous version keeps serving")
    assert "invalid syntax" in "".join(command.lines), "".join(command.lines)
    assert status() == "changed"
    source.write_text(original)
    command.process.send_signal(signal.SIGHUP)
    command.wait_for('"ready"', 3)
    command.wait_for('"stopped"', 2)
    assert status() == "ready"
    assert command.stop() == 0
    assert "unexpectedly" not in "".join(command.lines)


def test_a_migration_goes_past_the_pooler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cluster: Cluster
) -> None:
    direct = cluster.dsn(cluster.create())
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@/none?host={tmp_path}")
    monkeypatch.setenv("DATABASE_DIRECT_URL", direct)
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        assert run_command(("migrate",)) == 0
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    assert value(direct, "select max(version) from schema_version") == HEAD


@pytest.mark.parametrize("words", [("migrate",), ("create-enrollment", "label"), ("demo",)])
def test_commands_say_that_the_database_is_away(
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("santaserver.migrations.runner.RETRY_DELAYS", ())
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@/none?host={tmp_path}")
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        assert run_command(words) == 1
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert shown[-1]["level"] == "error"
    assert "exception" not in shown[-1]
