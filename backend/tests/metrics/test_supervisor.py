"""The status page asks santa-supervise over its socket, as `santa-supervise status` does."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from santaserver.status import supervisor
from santaserver.status.processes import read_processes
from santaserver.status.schemas import ProcessStatus
from tests.conftest import ADMIN
from tests.metrics.test_status import status
from tests.support.server import RunningServer

ANSWER: dict[str, Any] = {
    "supervisor": {
        "pid": 1,
        "version": "0.1.0",
        "os": "linux",
        "since": 1_790_000_000,
        "shutting_down": False,
        "orphans_reaped": 2,
        "dropped_lines": 3,
    },
    "services": [
        {
            "name": "backend",
            "instance": 1,
            "kind": "daemon",
            "state": "backoff",
            "why": "exited with 1",
            "status_text": None,
            "pid": None,
            "generation": None,
            "restarts": 4,
            "since": 1_790_000_060,
            "last_exit": "exit code 1",
            "critical": True,
        }
    ],
}
"""As protocol.rs defines it."""
REFUSAL = {"ok": False, "message": "only root and the user of santa-supervise may command it"}
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def ask(folder: Path, handler: Handler) -> ProcessStatus:
    """Ask a control socket with this handler."""

    async def run() -> ProcessStatus:
        path = folder / "control.sock"
        async with await asyncio.start_unix_server(handler, path):
            return await read_processes(str(path))

    return asyncio.run(run())


def answering(text: bytes, asked: list[bytes] | None = None) -> Handler:
    """Answer each request so."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if asked is not None:
            asked.append(line)
        writer.write(text)
        writer.close()

    return handle


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer nothing until the other side leaves."""
    await reader.read()
    writer.close()


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def test_it_asks_for_the_status_and_nothing_else(tmp_path: Path) -> None:
    asked: list[bytes] = []
    shown = ask(tmp_path, answering(line(ANSWER), asked))
    assert asked == [b'{"op":"status"}\n']
    assert shown.source == "supervisor"
    assert shown.supervisor is not None
    assert (shown.supervisor.orphans_reaped, shown.supervisor.dropped_lines) == (2, 3)
    [service] = shown.services
    assert (service.name, service.instance, service.state, service.restarts) == ("backend", 1, "backoff", 4)
    assert service.since.timestamp() == ANSWER["supervisor"]["since"] + 60
    assert (service.last_exit, service.pid, service.critical) == ("exit code 1", None, True)


def test_a_newer_santa_supervise_may_tell_more(tmp_path: Path) -> None:
    assert ask(tmp_path, answering(line({**ANSWER, "more": 1}))).source == "supervisor"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (line(REFUSAL), "refused: only root"),
        (b"", "is no status"),
        (b"{}\n", "is no status"),
        (line({"ok": True, "message": "done"}), "is no status"),
        (b"\xff\n", "is no status"),
        (b"x" * (supervisor.LONGEST + 100_000) + b"\n", "too much"),
    ],
)
def test_other_answers_are_a_problem_in_words(tmp_path: Path, answer: bytes, problem: str) -> None:
    shown = ask(tmp_path, answering(answer))
    assert (shown.source, shown.services) == ("unreachable", [])
    assert problem in (shown.problem or "")


def test_nobody_waits_for_one_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "DEADLINE", 0.05)
    assert "did not answer" in (ask(tmp_path, silent).problem or "")


def test_a_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    shown = asyncio.run(read_processes(str(tmp_path / "none")))
    assert shown.source == "unreachable"
    assert f"{tmp_path}/none: No such file" in (shown.problem or "")


def test_a_server_without_santa_supervise_says_so(admin: httpx.Client) -> None:
    assert status(admin)["processes"] == {
        "source": "none",
        "problem": None,
        "supervisor": None,
        "services": [],
    }


def test_a_lost_santa_supervise_hides_nothing_else(dsn: str) -> None:
    with (
        RunningServer(dsn, {"SUPERVISOR_SOCKET": "/nowhere/control.sock"}) as server,
        server.client() as client,
    ):
        body = {"username": ADMIN[0], "password": ADMIN[1]}
        client.post("/api/v1/auth/login", json=body).raise_for_status()
        shown = status(client)
    assert shown["processes"]["source"] == "unreachable"
    assert shown["database"]["connections"] > 0
