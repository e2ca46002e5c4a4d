"""One archive for every engine, and one source of truth for what is inside."""

import json
import shlex
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docker.engine import IMAGE, ROOT, XTASK, docker, inspect, run, until_healthy
from tests.image.container import KEY, free_port

POSTGRES = "santa-readme-postgres"
NETWORK = "santa-readme"
PASSWORD = "a-password-of-the-readme"


@pytest.fixture
def network() -> Iterator[str]:
    """A network with a PostgreSQL in it."""
    docker("network", "create", NETWORK)
    words = [f"--env=POSTGRES_{name}=santaserver" for name in ("USER", "DB")]
    words.append(f"--env=POSTGRES_PASSWORD={PASSWORD}")
    options = ("--detach", f"--name={POSTGRES}", f"--network={NETWORK}")
    docker("run", *options, *words, "docker.io/library/postgres:17")
    yield NETWORK
    docker("rm", "--force", "--volumes", POSTGRES, "santaserver", check=False)
    docker("network", "rm", NETWORK)


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_docker_loads_the_archive_as_the_image_that_it_describes(tmp_path: Path, compression: str) -> None:
    file, tag = tmp_path / "image.tar", f"santaserver:{compression}"
    made = ("--load=docker", f"--compression={compression}", f"--tag={tag}", f"--output={file}")
    run(XTASK, "image", *made)
    with tarfile.open(file) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        config = json.loads(manifest.read())[0]["Config"]
    assert inspect(tag)["Id"] == "sha256:" + config.rpartition("/")[2]
    # Compression changes the way, not the image.
    assert inspect(tag)["RootFS"] == inspect(IMAGE)["RootFS"]


def test_the_line_of_the_readme_starts_a_container_that_docker_finds_healthy(
    network: str, tmp_path: Path
) -> None:
    text = (ROOT / "README.md").read_text().replace("\\\n", " ")
    line = next(line for line in text.splitlines() if line.startswith("docker run "))
    port = free_port()
    environment = tmp_path / "santaserver.env"
    environment.write_text(
        f"DATABASE_URL=postgresql://santaserver:{PASSWORD}@{POSTGRES}/santaserver\n"
        f"SECRET_KEY={KEY}\nPUBLIC_URL=http://127.0.0.1:{port}\n"
    )
    changes = {
        "8080:8080": f"127.0.0.1:{port}:8080",
        "santaserver.env": str(environment),
        "santaserver:unified": IMAGE,
    }
    words = [changes.get(word, word) for word in shlex.split(line)]
    assert len([word for word in words if word in changes.values()]) == len(changes), line
    run(*words[:2], f"--network={network}", *words[2:])
    until_healthy("santaserver")
    assert httpx.get(f"http://127.0.0.1:{port}/health").text == "healthy\n"
    docker("stop", "santaserver")
    assert inspect("santaserver")["State"]["ExitCode"] == 0
