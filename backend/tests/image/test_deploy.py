"""`cargo xtask deploy` and `rollback` on a real engine, with real images that work and do not."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.image.container import IMAGE, KEY, SOCKETS, free_port, podman
from tests.support.postgres import Cluster

XTASK = os.environ.get("SANTA_XTASK", "")
LABEL = "org.opencontainers.image.version"


def derived(tag: str, *lines: str) -> str:
    """Make an image that differs from the one under test by some lines of a Dockerfile."""
    recipe = "\n".join([f"FROM {IMAGE}", *lines])
    done = subprocess.run(  # noqa: S603 - the engine under test
        ["podman", "build", "--quiet", "--format=docker", f"--tag=localhost/santaserver:{tag}", "-"],  # noqa: S607
        input=recipe,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return f"localhost/santaserver:{tag}"


class Site:
    """One deployment with a name, a port, a database and a memory of its own."""

    def __init__(self, folder: Path, cluster: Cluster, database: str) -> None:
        """Prepare it; nothing runs yet."""
        self.port = free_port()
        self.name = f"santa-deploy-{self.port}"
        self.state = folder / "deploy.json"
        self.environment = folder / "santaserver.env"
        self.environment.write_text(
            f"DATABASE_URL=postgresql://santa@/{database}?host={SOCKETS}\n"
            f"SECRET_KEY={KEY}\nPUBLIC_URL=http://127.0.0.1:{self.port}\n"
        )
        self._volume = f"--volume={cluster.folder}:{SOCKETS}:ro"

    def xtask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command of xtask to its end."""
        return subprocess.run([XTASK, *words], capture_output=True, text=True, check=False)  # noqa: S603

    def deploy(self, image: str, timeout: int = 60) -> subprocess.CompletedProcess[str]:
        """Deploy an image as an operator would."""
        options = ("--engine=podman", f"--name={self.name}", f"--publish=127.0.0.1:{self.port}")
        files = (f"--env-file={self.environment}", f"--state={self.state}", f"--timeout={timeout}")
        return self.xtask("deploy", f"--image={image}", *options, *files, "--", self._volume)

    def rollback(self) -> subprocess.CompletedProcess[str]:
        """Roll back as an operator would."""
        return self.xtask("rollback", f"--state={self.state}")

    def version(self) -> str:
        """Return the label by which the tests tell images apart."""
        return podman(
            "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', self.name
        ).stdout.strip()

    def is_ready(self) -> bool:
        """Whether the whole chain responds on the published port."""
        return httpx.get(f"http://127.0.0.1:{self.port}/health/ready", timeout=5).is_success


@pytest.fixture
def site(tmp_path: Path, shared_cluster: Cluster, template: str) -> Iterator[Site]:
    """Remove whatever a test has left running."""
    assert XTASK, "these tests need xtask: cargo xtask ci image"
    site = Site(tmp_path, shared_cluster, shared_cluster.create(template))
    yield site
    podman("rm", "--force", "--time=0", site.name, check=False)


def test_a_deploy_replaces_the_container_and_a_rollback_brings_the_one_before_back(site: Site) -> None:
    first, second = derived("one", f"LABEL {LABEL}=one"), derived("two", f"LABEL {LABEL}=two")
    for image, version in ((first, "one"), (second, "two")):
        done = site.deploy(image)
        assert done.returncode == 0, done.stderr
        assert (site.version(), site.is_ready()) == (version, True)
    assert site.state.stat().st_mode & 0o777 == 0o600
    for version in ("one", "two"):
        done = site.rollback()
        assert done.returncode == 0, done.stderr
        assert (site.version(), site.is_ready()) == (version, True)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("ENV SANTA__PROXY__NO_SUCH_KEY=1", id="it ends at once"),
        pytest.param("ENV SANTA__SERVICE__BACKEND__ARGS=-m,this", id="its backend ends"),
        pytest.param("ENV SANTA__SERVICE__BACKEND__ARGS=-m,http.server,0", id="it is never ready"),
    ],
)
def test_an_image_that_does_not_become_ready_is_taken_back(site: Site, fault: str) -> None:
    assert site.deploy(derived("one", f"LABEL {LABEL}=one")).returncode == 0
    failed = site.deploy(derived("broken", f"LABEL {LABEL}=broken", fault), timeout=4)
    assert failed.returncode == 1
    assert "runs again" in failed.stderr, failed.stderr
    assert (site.version(), site.is_ready()) == ("one", True)
    # The recorded image is the running one.
    again = site.rollback()
    assert again.returncode == 1
    assert "nothing before it" in again.stderr


def test_a_first_deploy_that_fails_says_that_nothing_ran_before(site: Site) -> None:
    failed = site.deploy(derived("broken", "ENV SANTA__PROXY__NO_SUCH_KEY=1"), timeout=3)
    assert failed.returncode == 1
    assert "nothing ran before" in failed.stderr
    assert "no_such_key: unknown key" in failed.stderr, failed.stderr
    assert not site.state.exists()


def test_an_image_that_is_not_there_disturbs_nothing(site: Site) -> None:
    assert site.deploy(derived("one", f"LABEL {LABEL}=one")).returncode == 0
    failed = site.deploy("localhost/santaserver:no-such-tag")
    assert failed.returncode == 1
    assert "find the image localhost/santaserver:no-such-tag" in failed.stderr
    assert site.is_ready()
