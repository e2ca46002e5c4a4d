"""Development: a process with loaded libraries that forks a new server for every change.

SIGHUP forks a child that imports the application from the current sources and serves on the inherited socket;
once it listens, the previous child drains. If a child does not start, it prints its traceback and the
previous one stays. This process itself never imports the application.
"""

import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field

PRELOAD = (
    "argon2",
    "asyncpg",
    "fastapi",
    "httptools",
    "msgspec",
    "pydantic.root_model",
    "pydantic.v1",
    "uvicorn",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
    "uvloop",
)
PACKAGE = "santaserver"
SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
STOP_TIMEOUT = 6.0
BACKLOG = 2048
READY = b"1"


@dataclass
class Zygote:
    """The children of one inherited socket."""

    sock: socket.socket
    serving: int | None = None
    starting: int | None = None
    ready_pipe: int | None = None
    leaving: set[int] = field(default_factory=set)

    def run(self, wakeup: int) -> int:
        """Handle signals until asked to stop; return the exit code."""
        self.fork()
        while True:
            watched = [wakeup] if self.ready_pipe is None else [wakeup, self.ready_pipe]
            readable, _, _ = select.select(watched, [], [])
            if self.ready_pipe in readable:
                self.started()
            received = set(os.read(wakeup, 1024)) if wakeup in readable else set()
            if received & {signal.SIGTERM, signal.SIGINT}:
                self.stop()
                return 0
            if signal.SIGCHLD in received and self.reap():
                self.stop()
                return 1
            if signal.SIGHUP in received:
                self.fork()

    def fork(self) -> None:
        """Start a child from the present sources; one that is still starting is given up."""
        if self.starting is not None:
            self.dismiss(self.starting, signal.SIGKILL)
        self.close_pipe()
        gc.collect()
        gc.freeze()
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            os._exit(serve_fresh(self.sock, writer))
        os.close(writer)
        self.starting, self.ready_pipe = pid, reader

    def started(self) -> None:
        """The starting child serves, unless its pipe was closed without a message; then it is reaped soon."""
        if self.ready_pipe is not None and os.read(self.ready_pipe, 1) == READY:
            if self.serving is not None:
                self.dismiss(self.serving, signal.SIGTERM)
            self.serving = self.starting
            self.sock.listen(BACKLOG)  # the supervisor checks this process for readiness, not its children
            self.starting = None
        self.close_pipe()

    def close_pipe(self) -> None:
        """Stop waiting for the starting child's message."""
        if self.ready_pipe is not None:
            os.close(self.ready_pipe)
        self.ready_pipe = None

    def dismiss(self, pid: int, how: signal.Signals) -> None:
        """Ask a child to end."""
        self.leaving.add(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, how)

    def reap(self) -> bool:
        """Collect ended children; return whether the serving one exited unexpectedly."""
        died = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return died
            if pid == 0:
                return died
            self.leaving.discard(pid)
            if pid == self.starting:
                kept = "the previous version keeps serving" if self.serving else "save a change to try again"
                say("warning", f"the changed backend did not start: {kept}")
                self.starting = None
            if pid == self.serving:
                say("error", f"the backend exited unexpectedly, status {os.waitstatus_to_exitcode(status)}")
                self.serving, died = None, True

    def stop(self) -> None:
        """End all children, with force after a while."""
        for pid in (self.serving, self.starting):
            if pid is not None:
                self.dismiss(pid, signal.SIGTERM)
        self.serving = self.starting = None
        deadline = time.monotonic() + STOP_TIMEOUT
        while self.leaving and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.01)
        for pid in self.leaving:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def serve_fresh(sock: socket.socket, ready: int) -> int:
    """In a child: import the application again and serve; return the exit code."""
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    importlib.invalidate_caches()

    def tell_ready() -> None:
        os.write(ready, READY)
        gc.enable()

    gc.disable()  # there is no garbage while modules load, and collecting takes a third of the time
    try:
        start = importlib.import_module(f"{PACKAGE}.__main__")
        start.serve_socket(sock, tell_ready)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # noqa: BLE001 - whatever the changed sources raise
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def say(level: str, message: str) -> None:
    """Write a log line without the application's own logging."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    sys.stdout.write(
        f'{{"ts":"{at}.000Z","level":"{level}","logger":"santaserver.dev","message":"{message}"}}\n'
    )
    sys.stdout.flush()


def main(sock: socket.socket) -> int:
    """Load the libraries once, then serve and re-serve."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    for name in PRELOAD:
        importlib.import_module(name)
    return Zygote(sock).run(reader)
