"""What goes wrong: each fault is a line of plain data with the function that has it happen."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.soak.outcomes import CUT
from tests.soak.system import System, send, stopped, tree
from tests.soak.traffic import Journal
from tests.support.postgres import execute

PAUSED = 2.0
"""Seconds for which processes are stopped."""
ATTACK = 3.0
"""Seconds for which clients are slow."""
SLOW_CLIENTS = 400
INSTANCES = 2
"""Backends, beside the time of a changed configuration."""
SYNC = b"POST /api/santa/preflight/M HTTP/1.1\r\nHost: a\r\n"
LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
MALFORMED = (
    b"\x00\x01\x02\x03\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\x80\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    SYNC + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    SYNC + CHUNKED + b"\r\nzz\r\n",
    SYNC + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    LOGIN + b"Content-Length: 3\r\n\r\n{{{",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


@dataclass(frozen=True)
class Scene:
    """Where a fault happens, who sees it, and the chance that decides to whom."""

    system: System
    journal: Journal
    chance: Random


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, and what it may do to clients that have done nothing wrong."""

    name: str
    happen: Callable[[Scene], float]
    """Has it happen; returns the moment of the monotonic clock since which its cause is gone."""
    explains: frozenset[str] = frozenset()
    """The statuses, or `cut`, that requests may end with meanwhile."""
    limit: float = 1.0
    """Seconds that the server may take to recover once the cause is gone."""
    keeps: bool = True
    """Whether our processes are the same afterwards."""


def kill(name: str) -> Callable[[Scene], float]:
    """Return a fault that kills one instance of a service."""

    def happen(scene: Scene) -> float:
        part = scene.chance.choice(scene.system.parts(name))
        at = time.monotonic()
        send(part.pid, signal.SIGKILL)
        return at

    return happen


def pause(name: str) -> Callable[[Scene], float]:
    """Return a fault that stops all processes of one instance for a while."""

    def happen(scene: Scene) -> float:
        part = scene.chance.choice(scene.system.parts(name))
        with stopped(tree(part.pid)):
            time.sleep(PAUSED)
        return time.monotonic()

    return happen


def command(*words: str) -> Callable[[Scene], float]:
    """Return what an operator does with santa-supervise."""

    def happen(scene: Scene) -> float:
        scene.system.supervise(*words)
        return time.monotonic()

    return happen


def immediate_stop(scene: Scene) -> float:
    """Stop the database without any care; santa-supervise starts it again."""
    [database] = scene.system.parts("database")
    send(database.pid, signal.SIGQUIT)
    deadline = time.monotonic() + 30
    while scene.system.database_answers() and time.monotonic() < deadline:
        time.sleep(0.01)
    return scene.system.until_database_answers()


def crash_of_a_session(scene: Scene) -> float:
    """Kill one of the database's processes, after which it ends all sessions and recovers."""
    [database] = scene.system.parts("database")
    below = tree(database.pid)[1:]
    send(scene.chance.choice(below), signal.SIGKILL)
    return scene.system.until_database_answers()


def terminate_sessions(scene: Scene) -> float:
    """End every session with the database."""
    execute(
        scene.system.dsn,
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()",
    )
    return time.monotonic()


def slow_clients(scene: Scene) -> float:
    """Have clients of other addresses begin requests that never end."""
    program = scene.system.load_program
    if program is None:
        raise RuntimeError("slow clients need santa-load: set SANTA_LOAD to the program")
    part = scene.chance.choice(("head", "body"))
    words = ["slow", "--to", scene.system.address, "--part", part, "--path", "/api/v1/auth/login"]
    words.append(f"--connections={SLOW_CLIENTS}")
    with subprocess.Popen([program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as slow:  # noqa: S603 - ours
        assert slow.stdin is not None
        assert slow.stdout is not None
        slow.stdout.readline()  # all have begun
        time.sleep(ATTACK)
        slow.stdin.close()
    return time.monotonic()


def malformed(scene: Scene) -> float:
    """Send what is no request, and requests that are wrong; none may be the server's fault."""
    host, _, port = scene.system.address.partition(":")
    for number in range(40):
        wrong = scene.chance.choice((*MALFORMED, scene.chance.randbytes(200)))
        begun = time.monotonic()
        answer = b""
        try:
            with socket.create_connection((host, int(port)), timeout=10) as one:
                one.sendall(wrong)
                one.shutdown(socket.SHUT_WR)
                answer = one.recv(4096)
        except (ConnectionError, TimeoutError):
            continue  # it may hang up on such a client
        status = answer[9:12]
        if answer.startswith(b"HTTP/1.1 5") and status != b"505":  # the version is not supported
            scene.journal.note("a malformed client", f"{number}: {wrong[:40]!r}", begun, status.decode())
    return time.monotonic()


def flip(scene: Scene) -> float:
    """Change the configuration: one backend more, and back."""
    scene.system.set_instances(INSTANCES + 1)
    scene.system.set_instances(INSTANCES)
    return time.monotonic()


OUTAGE = frozenset({"503", "504"})
"""What the backend answers while it has no database."""
FAULTS = (
    Fault("backend killed", kill("backend"), frozenset({"502"}), keeps=False),
    Fault("proxy killed", kill("proxy"), frozenset({CUT}), keeps=False),
    Fault("backend stopped for a while (SIGSTOP)", pause("backend"), frozenset({"504"})),
    Fault("proxy stopped for a while (SIGSTOP)", pause("proxy")),
    Fault("database stopped for a while (SIGSTOP)", pause("database"), OUTAGE, 3.0),
    Fault("database stopped at once (SIGQUIT)", immediate_stop, OUTAGE, 3.0),
    Fault("process of the database killed", crash_of_a_session, OUTAGE, 3.0),
    Fault("sessions of the database ended", terminate_sessions, OUTAGE),
    Fault("slow clients", slow_clients),
    Fault("malformed requests", malformed),
    Fault("proxy reloaded", command("reload", "proxy")),
    Fault("backend replaced (rolling-restart)", command("rolling-restart", "backend"), keeps=False),
    Fault("proxy replaced (rolling-restart)", command("rolling-restart", "proxy"), keeps=False),
    Fault("configuration changed twice", flip, keeps=False),
)
