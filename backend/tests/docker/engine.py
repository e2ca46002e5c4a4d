"""Docker, the images under test, and SantaServer as docker/compose.yaml runs it."""

import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.image.container import KEY, TIMEOUT, free_port

ROOT = Path(__file__).parents[3]
IMAGE = os.environ.get("SANTA_IMAGE", "")
BUILT = os.environ.get("SANTA_IMAGE_BUILT", "")
"""The image that docker/Dockerfile has made."""
XTASK = os.environ.get("SANTA_XTASK", "")
COMPOSE = ROOT / "docker/compose.yaml"
LABEL = "org.opencontainers.image.version"
SERVICE = "santaserver"


def run(
    *words: str, environ: Mapping[str, str] | None = None, given: str | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    done = subprocess.run(  # noqa: S603 - the engine under test
        words,
        capture_output=True,
        text=True,
        check=False,
        input=given,
        env={**os.environ, **(environ or {})},
        cwd=ROOT,
    )
    if check and done.returncode != 0:
        message = f"{done.stdout}{done.stderr}"
        raise AssertionError(f"{' '.join(words)} ended with {done.returncode}: {message}")
    return done


def docker(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one docker command."""
    return run("docker", *words, check=check)


def inspect(name: str) -> dict[str, Any]:
    """Return what Docker knows of a container or an image."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", name).stdout)
    return found[0]


def derived(tag: str, *lines: str) -> str:
    """Make an image that differs from the one under test by some lines of a Dockerfile."""
    recipe = "\n".join([f"FROM {IMAGE}", f"LABEL {LABEL}={tag}", *lines])
    run("docker", "build", "--quiet", f"--tag=santaserver:{tag}", "-", given=recipe)
    return f"santaserver:{tag}"


def until_healthy(container: str) -> None:
    """Wait until the health check in the image says that the container is healthy."""
    deadline = time.monotonic() + TIMEOUT
    while (state := inspect(container)["State"])["Health"]["Status"] != "healthy":
        message = docker("logs", container, check=False)
        assert state["Running"], f"it ended:\n{message.stdout}{message.stderr}"
        assert time.monotonic() < deadline, f"it is not healthy:\n{message.stdout}{message.stderr}"
        time.sleep(0.1)


class Site:
    """SantaServer and its PostgreSQL as docker/compose.yaml starts them, on a port of their own."""

    def __init__(self, folder: Path) -> None:
        """Prepare it; nothing runs yet."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.state = folder / "deploy.json"
        self.environ = {
            "POSTGRES_PASSWORD": "a-password-of-the-tests",
            "SECRET_KEY": KEY,
            "PUBLIC_URL": self.url,
            "PUBLISH": f"127.0.0.1:{port}",
            "SANTASERVER_IMAGE": IMAGE,
        }

    def compose(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command of Compose."""
        file = f"--file={COMPOSE}"
        return run("docker", "compose", file, *words, environ=self.environ, check=check)

    def up(self, *files: str) -> None:
        """Start everything and wait until the whole chain responds."""
        self.compose(*files, "up", "--detach")
        deadline = time.monotonic() + TIMEOUT
        while not self.is_ready():
            assert time.monotonic() < deadline, self.compose("logs").stdout
            time.sleep(0.1)

    def xtask(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command of xtask, as an operator would."""
        state = f"--state={self.state}"
        return run(XTASK, command, state, *words, environ=self.environ, check=False)

    def deploy(self, image: str, timeout: int = 60) -> subprocess.CompletedProcess[str]:
        """Replace the service by one of another image."""
        where = ("--engine=docker", f"--compose={COMPOSE}")
        return self.xtask("deploy", f"--image={image}", *where, f"--timeout={timeout}")

    def container(self, service: str = SERVICE) -> str:
        """Return the id of a service's container."""
        return self.compose("ps", "--quiet", service).stdout.strip()

    def version(self) -> str:
        """Return the label by which the tests tell images apart."""
        labels: dict[str, str] = inspect(self.container())["Config"]["Labels"]
        return labels[LABEL]

    def is_ready(self) -> bool:
        """Whether the whole chain responds on the published port."""
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).is_success
        except httpx.TransportError:
            return False

    def down(self) -> None:
        """Remove everything."""
        self.compose("down", "--volumes", "--timeout=0", check=False)
