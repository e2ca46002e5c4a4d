"""Replaces a container under load and counts: `python -m tests.image.replacement WAY …` measures one way.

`socket`: this program keeps the port open and passes it to `podman run`, as systemd does. `beside`:
`cargo xtask deploy` on a host's network whose port two containers share.
"""

import argparse
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.image.container import GRACE, HARDENED, IMAGE, KEY, SOCKETS, SUPERVISE, podman
from tests.support.counting import Counting
from tests.support.network import isolate

LAUNCH = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&0 </dev/null'
TIMEOUT = 60.0


def variables(port: int, database: str) -> dict[str, str]:
    """Return the environment of a container that serves at `port`."""
    return {
        "DATABASE_URL": f"postgresql://santa@/{database}?host={SOCKETS}",
        "SECRET_KEY": KEY,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SANTA__SOCKET__HTTP__LISTEN": f"127.0.0.1:{port}",
    }


def until_ready(name: str) -> None:
    """Wait until the whole chain in a container answers."""
    deadline = time.monotonic() + TIMEOUT
    while podman("exec", name, SUPERVISE, "healthcheck", "--ready", check=False).returncode != 0:
        assert time.monotonic() < deadline, podman("logs", name, check=False).stdout
        time.sleep(0.05)


class Activated:
    """A container on a socket that is kept open here, without any network."""

    def __init__(self, held: socket.socket, folder: Path, database: str) -> None:
        """Prepare it."""
        self.name = f"santa-activated-{held.getsockname()[1]}"
        self._held = held
        self._folder = folder
        self._variables = variables(held.getsockname()[1], database)

    def command(self, image: str, *options: str) -> list[str]:
        """Return how it is started by who has the socket."""
        words = ["podman", "run", "--detach", f"--name={self.name}", "--network=none", *HARDENED, *options]
        words += [f"--volume={self._folder}:{SOCKETS}:ro"]
        return [*words, *(f"--env={name}={value}" for name, value in self._variables.items()), image]

    def start(self) -> None:
        """Start it as systemd would, and wait until it is ready."""
        command = ["sh", "-c", LAUNCH, "sh", *self.command(IMAGE)]
        subprocess.run(command, stdin=self._held.fileno(), stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - ours
        until_ready(self.name)

    def stop(self) -> None:
        """Stop and remove it."""
        podman("stop", f"--time={GRACE}", self.name)
        podman("rm", "--force", "--time=0", self.name)


def measure(address: str, kept: bool, requests: int, change: Callable[[], None]) -> dict[str, object]:
    """Return what `change` costs in the middle of so many requests."""
    with Counting(address, kept) as counting:
        counting.until_answered(requests // 2)
        begun = time.monotonic()
        change()
        took = time.monotonic() - begun
        counting.until_answered(requests)
    return asdict(counting.tally) | {"took": took}


def through_socket(arguments: argparse.Namespace) -> dict[str, object]:
    """Stop the old container, start the new one on the same socket."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as held:
        container = Activated(held, arguments.folder, arguments.database)

        def change() -> None:
            container.stop()
            container.start()

        try:
            container.start()
            address = f"127.0.0.1:{held.getsockname()[1]}"
            return measure(address, arguments.kept, arguments.requests, change)
        finally:
            podman("rm", "--force", "--time=0", container.name, check=False)


def beside(arguments: argparse.Namespace) -> dict[str, object]:
    """Deploy one image after the other on a shared port; the last one may be refused."""
    isolate(migration=True)
    port = 8080
    name = f"santa-beside-{os.getpid()}"
    state = arguments.state / "deploy.json"
    shared = variables(port, arguments.database) | {"SANTA__SOCKET__HTTP__REUSEPORT": "true"}
    options = ["--network=host", f"--volume={arguments.folder}:{SOCKETS}:ro"]
    options += [f"--env={key}={value}" for key, value in shared.items()]

    def deploy(image: str, timeout: int = 60) -> subprocess.CompletedProcess[str]:
        words = ["deploy", f"--image={image}", "--engine=podman", f"--name={name}", f"--state={state}"]
        command = [os.environ["SANTA_XTASK"], *words, f"--timeout={timeout}", "--", *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    said: list[str] = []

    def change() -> None:
        done = deploy(arguments.next, arguments.timeout)
        said.append(f"{done.returncode}: {done.stdout}{done.stderr}")

    try:
        first = deploy(IMAGE)
        assert first.returncode == 0, first.stderr
        found = measure(f"127.0.0.1:{port}", arguments.kept, arguments.requests, change)
        running = podman("inspect", "--format", "{{.Image}}", name).stdout.strip()
        return found | {"said": said[0], "running": running}
    finally:
        for left in (name, f"{name}-next"):
            podman("rm", "--force", "--time=0", left, check=False)


def main() -> None:
    """Measure one way and print the result as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["socket", "beside"])
    parser.add_argument("--folder", type=Path, required=True, help="of PostgreSQL's socket")
    parser.add_argument("--database", required=True)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--kept", action="store_true", help="on kept connections instead of new ones")
    parser.add_argument("--next", default=IMAGE, help="the image that is deployed second")
    parser.add_argument("--state", type=Path, default=Path("/tmp"), help="folder of the state of deploy")  # noqa: S108
    parser.add_argument("--timeout", type=int, default=60)
    arguments = parser.parse_args()
    found = through_socket(arguments) if arguments.way == "socket" else beside(arguments)
    print(json.dumps(found))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
