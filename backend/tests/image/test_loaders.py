"""One archive for every engine: podman has loaded it already, here are the others."""

import json
import os
import shutil
import subprocess

import pytest

ARCHIVE = os.environ.get("SANTA_IMAGE_ARCHIVE", "")


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_skopeo_reads_the_archive_both_ways(transport: str) -> None:
    skopeo = shutil.which("skopeo")
    assert skopeo is not None, "skopeo is missing; cargo xtask ci image installs it"
    done = subprocess.run([skopeo, "inspect", "--config", f"{transport}:{ARCHIVE}"], capture_output=True, text=True, check=False)  # noqa: S603 - skopeo
    assert done.returncode == 0, done.stderr
    config = json.loads(done.stdout)
    assert config["config"]["User"] == "101:101"
    assert len(config["rootfs"]["diff_ids"]) == 5


def test_docker_loads_the_archive() -> None:
    docker = shutil.which("docker")
    alive = docker and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0  # noqa: S603 - docker
    if not alive:
        pytest.skip("no docker daemon runs here")
    done = subprocess.run([docker, "load", "--input", ARCHIVE], capture_output=True, text=True, check=False)  # noqa: S603 - docker
    assert done.returncode == 0, done.stderr
    assert "santaserver:ci" in done.stdout
