"""One container of the image under podman, hardened as docker/compose.yaml hardens it."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

IMAGE = os.environ.get("SANTA_IMAGE", "")
SUPERVISE = "/usr/bin/santa-supervise"
PYTHON = "/usr/bin/python3.13"
PORTS = range(25500, 25999)
SOCKETS = "/run/postgres"
"""Where the folder of PostgreSQL's socket is in the container."""
TIMEOUT = 60.0
GRACE = 10
KEY = "an-image-under-test-needs-a-key-of-its-own-0123456789"
HARDENED = os.environ.get("SANTA_IMAGE_HARDENED", "").split()
"""Options of `podman run`: those of `cargo xtask deploy`."""


def podman(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one podman command."""
    done = subprocess.run(["podman", *words], capture_output=True, text=True, check=False)  # noqa: S603, S607 - the engine under test
    if check and done.returncode != 0:
        raise AssertionError(
            f"podman {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}"
        )
    return done


def free_port() -> int:
    """Return a port of the tests' range that nobody listens on."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no free port in {PORTS}")


class Container:
    """A running container; use it as a context manager."""

    def __init__(
        self,
        sockets: Path | None,
        database: str,
        environ: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """Prepare a container on a database whose socket is in the folder `sockets`."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        variables = {
            "DATABASE_URL": f"postgresql://santa@/{database}?host={SOCKETS}",
            "SECRET_KEY": KEY,
            "PUBLIC_URL": self.url,
            **(environ or {}),
        }
        self._command = ["run", "--detach", *HARDENED, *options]
        if not any(option.startswith("--network") for option in options):
            self._command.append(f"--publish=127.0.0.1:{self.port}:8080")
        if sockets is not None:
            self._command.append(f"--volume={sockets}:{SOCKETS}:ro")
        self._command += [f"--env={name}={value}" for name, value in variables.items()] + [IMAGE]
        self.id = ""

    def __enter__(self) -> Self:
        """Start it."""
        self.id = podman(*self._command).stdout.strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it; a failed test prints its log."""
        if error is not None:
            print(self.logs()[-6000:])  # noqa: T201 - pytest shows it with the failure
        podman("rm", "--force", "--time=0", self.id)

    def until_ready(self) -> Self:
        """Wait until the whole chain responds."""
        deadline = time.monotonic() + TIMEOUT
        while self.status("/health/ready") != httpx.codes.OK:
            assert self.inspect()["State"]["Running"], f"it ended:\n{self.logs()}"
            assert time.monotonic() < deadline, f"it is not ready:\n{self.logs()}"
            time.sleep(0.05)
        return self

    def status(self, path: str) -> int:
        """Return the status of a GET, or 0 without a response."""
        try:
            return httpx.get(self.url + path, timeout=5).status_code
        except httpx.TransportError:
            return 0

    def exec(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return podman("exec", self.id, *words, check=check)

    def python(self, code: str, check: bool = True) -> str:
        """Run Python code in it and return what it prints."""
        return self.exec(PYTHON, "-c", code, check=check).stdout.strip()

    def services(self) -> dict[str, dict[str, Any]]:
        """Return the state of every service by its name."""
        found = json.loads(self.exec(SUPERVISE, "status", "--json").stdout)
        return {service["name"]: service for service in found["services"]}

    def inspect(self) -> dict[str, Any]:
        """Return what podman knows of it."""
        found: list[dict[str, Any]] = json.loads(podman("inspect", self.id).stdout)
        return found[0]

    def processes(self) -> list[int]:
        """Return the ids of its processes, as the machine sees them."""
        root = int(self.inspect()["State"]["Pid"])
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        found, waiting = [], [root]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting += children.get(pid, [])
        return found

    def stop(self) -> int:
        """Ask it to end within the grace period and return its exit code."""
        podman("stop", f"--time={GRACE}", self.id)
        return self.exit_code()

    def exit_code(self) -> int:
        """Wait for its end and return its exit code."""
        deadline = time.monotonic() + TIMEOUT
        while self.inspect()["State"]["Running"]:
            assert time.monotonic() < deadline, f"it does not end:\n{self.logs()}"
            time.sleep(0.1)
        return int(self.inspect()["State"]["ExitCode"])

    def logs(self) -> str:
        """Return its log."""
        done = podman("logs", self.id, check=False)
        return done.stdout + done.stderr
