"""Containers that are replaced without a lost request: on a socket that is passed in, and side by side."""

import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.container import IMAGE, podman
from tests.image.replacement import Activated, until_ready
from tests.image.test_deploy import LABEL, XTASK, derived
from tests.support.counting import Counting
from tests.support.postgres import Cluster

BACKEND = Path(__file__).parents[2]
BROKEN = "ENV SANTA__SERVICE__BACKEND__ARGS=-m,http.server,0"
"""Its backend is never ready."""


def replacement(way: str, cluster: Cluster, template: str, *words: str) -> dict[str, object]:
    """Run one measurement in a process of its own."""
    database = ["--folder", str(cluster.folder), "--database", cluster.create(template)]
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-m", "tests.image.replacement", way, *database, *words],
        cwd=BACKEND,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_container_on_an_inherited_socket_is_replaced_without_a_lost_request(
    shared_cluster: Cluster, template: str
) -> None:
    assert replacement("socket", shared_cluster, template)["lost"] == []


def test_a_deploy_on_a_shared_port_loses_no_request(
    shared_cluster: Cluster, template: str, tmp_path: Path
) -> None:
    image = derived("two", f"LABEL {LABEL}=two")
    found = replacement("beside", shared_cluster, template, "--next", image, "--state", str(tmp_path))
    assert found["lost"] == []
    assert str(found["said"]).startswith("0: ")
    assert "beside the running one" in str(found["said"])


def test_an_image_that_is_never_ready_is_taken_back_without_a_lost_request(
    shared_cluster: Cluster, template: str, tmp_path: Path
) -> None:
    words = ("--next", derived("broken", BROKEN), "--state", str(tmp_path), "--timeout=3", "--requests=4000")
    found = replacement("beside", shared_cluster, template, *words)
    assert found["lost"] == []
    assert "what ran before was not touched" in str(found["said"])
    first = podman("image", "inspect", "--format", "{{.Id}}", IMAGE).stdout.strip()
    assert first in str(found["running"])


class Unit:
    """A container as systemd runs it: `systemctl restart` in PATH, the port kept here."""

    def __init__(self, folder: Path, held: socket.socket, cluster: Cluster, database: str) -> None:
        """Put `systemctl` into a folder; it restarts the container as the unit of Quadlet does."""
        port = held.getsockname()[1]
        self.name = f"santa-unit-{port}"
        self.address = f"127.0.0.1:{port}"
        self.image = f"localhost/santaserver:unit-{port}"
        self._state = folder / "deploy.json"
        container = Activated(held, cluster.folder, database)
        container.name = self.name
        label = "--label=PODMAN_SYSTEMD_UNIT=santaserver.service"
        start = shlex.join(container.command(self.image, label))
        script = folder / "systemctl"
        script.write_text(
            "#!/bin/sh\nset -e\n"
            f'test "$*" = "restart santaserver.service" -o "$*" = "--user restart santaserver.service"\n'
            f"podman rm --force --time=10 --ignore {self.name}\n"
            f"export LISTEN_PID=$$ LISTEN_FDS=1; exec {start} 3<&9 9<&-\n"
        )
        script.chmod(0o755)
        self._environ = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
        self._held = held

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program that has the socket as descriptor 9, so that `systemctl` finds it there."""
        command = ["sh", "-c", 'exec "$@" 9<&0 </dev/null', "sh", *words]
        return subprocess.run(  # noqa: S603 - ours
            command, stdin=self._held.fileno(), env=self._environ, capture_output=True, text=True, check=False
        )

    def start(self, image: str) -> None:
        """Start it for the first time."""
        podman("tag", image, self.image)
        done = self.run("systemctl", "restart", "santaserver.service")
        assert done.returncode == 0, done.stderr

    def deploy(self, image: str, timeout: int = 60) -> subprocess.CompletedProcess[str]:
        """Deploy an image as an operator would."""
        options = (f"--name={self.name}", "--engine=podman", f"--state={self._state}", f"--timeout={timeout}")
        return self.run(XTASK, "deploy", f"--image={image}", *options)

    def version(self) -> str:
        """Return the label by which the tests tell images apart."""
        form = f'{{{{index .Config.Labels "{LABEL}"}}}}'
        return podman("inspect", "--format", form, self.name).stdout.strip()


@pytest.fixture
def unit(tmp_path: Path, shared_cluster: Cluster, template: str) -> Iterator[Unit]:
    """Remove what a test has left running."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as held:
        unit = Unit(tmp_path, held, shared_cluster, shared_cluster.create(template))
        yield unit
        podman("rm", "--force", "--time=0", unit.name, check=False)


def test_what_systemd_runs_is_deployed_by_its_unit_and_taken_back_when_it_fails(unit: Unit) -> None:
    unit.start(derived("one", f"LABEL {LABEL}=one"))
    until_ready(unit.name)
    with Counting(unit.address, kept=False) as counting:
        counting.until_answered(100)
        done = unit.deploy(derived("two", f"LABEL {LABEL}=two"))
        assert (done.returncode, unit.version()) == (0, "two"), done.stderr
        failed = unit.deploy(
            derived("broken", f"LABEL {LABEL}=broken", "ENV SANTA__PROXY__NO_SUCH_KEY=1"), timeout=4
        )
        assert (failed.returncode, unit.version()) == (1, "two"), failed.stderr
        assert "runs again" in failed.stderr
        counting.until_answered(counting.tally.answered + 100)
    # Connections have waited in the socket, even while there was no container.
    assert counting.tally.lost == []
