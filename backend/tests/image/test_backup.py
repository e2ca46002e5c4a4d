"""A backup out of a running container, as docs/operations.md does it, and back into an empty database."""

import subprocess
from pathlib import Path

import httpx

from tests.conftest import ADMIN
from tests.image.conftest import NewContainer
from tests.image.container import SUPERVISE, Container
from tests.support.postgres import Cluster, value


def santaserver(
    container: Container, *words: str, source: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command of the backend in a container."""
    command = ["podman", "exec", "--interactive", container.id, "santaserver", *words]
    given = source.read_bytes() if source else b""
    return subprocess.run(command, input=given, capture_output=True, check=False)  # noqa: S603 - the engine under test


def test_a_backup_of_a_running_container_is_restored_in_another_one(
    new_container: NewContainer, shared_cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    made = santaserver(new_container().until_ready(), "backup", "--events")
    assert made.returncode == 0, made.stderr
    file.write_bytes(made.stdout)
    name = shared_cluster.create()
    other = new_container(database=name).until_ready()
    refused = santaserver(other, "restore", "-", source=file)
    assert (refused.returncode, b"stop the server" in refused.stderr) == (1, True), refused.stderr
    other.exec(SUPERVISE, "stop", "backend")
    done = santaserver(other, "restore", "-", source=file)
    assert done.returncode == 0, done.stderr
    other.exec(SUPERVISE, "start", "backend")
    other.until_ready()
    with httpx.Client(base_url=other.url, headers={"Origin": other.url}, timeout=30) as client:
        login = client.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
    assert login.status_code == httpx.codes.OK, login.text
    logged = "select count(*) from audit_log where action = 'database_restored'"
    assert value(shared_cluster.dsn(name), logged) == 1
