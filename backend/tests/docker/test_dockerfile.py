"""What docker/Dockerfile makes from nothing is the image of `cargo xtask image`."""

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.docker.engine import BUILT, IMAGE, XTASK, docker, inspect, run

OURS = {"usr/bin/santa-proxy", "usr/bin/santa-supervise"}
"""Compiled on the building machine: they differ with another C library."""
SETTINGS = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "StopSignal", "User", "WorkingDir")
Entry = tuple[bytes, int, int, int, str]


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """Fail without the image."""
    if not BUILT:
        pytest.fail("these tests need the image of docker/Dockerfile: cargo xtask ci dockerfile")


def entries(image: str) -> dict[str, Entry]:
    """Return what Docker puts into a container's root: kind, mode, owners and content by path."""
    container = docker("create", image).stdout.strip()
    export = subprocess.run(["docker", "export", container], capture_output=True, check=True)  # noqa: S603, S607
    docker("rm", container)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(export.stdout)) as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isreg() else None
            content = hashlib.sha256(file.read()).hexdigest() if file else entry.linkname
            found[entry.name] = (entry.type, entry.mode, entry.uid, entry.gid, content)
    return found


def test_the_dockerfile_makes_the_same_image_from_nothing() -> None:
    ours, built = entries(IMAGE), entries(BUILT)
    assert set(ours) == set(built)
    assert {path for path in ours if ours[path] != built[path]} <= OURS
    assert all(ours[path][:4] == built[path][:4] for path in ours)
    one, other = inspect(IMAGE)["Config"], inspect(BUILT)["Config"]
    for key in SETTINGS:
        assert one[key] == other[key], key
    assert other["Labels"].items() <= one["Labels"].items()
    labels = {label.removeprefix("org.opencontainers.image.") for label in one["Labels"]}
    assert labels == {"created", "description", "licenses", "revision", "title", "version"}


def test_what_docker_saves_of_it_passes_the_audit(tmp_path: Path) -> None:
    archive = tmp_path / "saved.tar"
    docker("save", "--output", str(archive), BUILT)
    done = run(XTASK, "image", "--verify", str(archive), check=False)
    assert done.returncode == 0, done.stdout
    assert " 0 failed" in done.stdout
