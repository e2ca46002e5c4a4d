"""One archive for every engine: podman has loaded it already; skopeo reads it as Docker and as others do."""

import json
import os
import subprocess

import pytest

ARCHIVE = os.environ.get("SANTA_IMAGE_ARCHIVE", "")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - the loaders


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_skopeo_reads_the_archive_both_ways(transport: str) -> None:
    done = run("skopeo", "inspect", "--config", f"{transport}:{ARCHIVE}")
    assert done.returncode == 0, done.stderr
    config = json.loads(done.stdout)
    assert config["config"]["User"] == "101:101"
    assert len(config["rootfs"]["diff_ids"]) == 5
