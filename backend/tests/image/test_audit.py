"""The audit log in the image: its own OpenSSL signs and verifies, with a read-only root file system."""

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.conftest import ADMIN
from tests.image.conftest import NewContainer
from tests.image.container import PYTHON, Container, podman

KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
"""
NOTES = "/tmp/notes"  # noqa: S108 - in the container
EXPORTED = "/tmp/audit.jsonl"  # noqa: S108


@pytest.fixture
def container(new_container: NewContainer, tmp_path: Path) -> Container:
    """A container that signs its checkpoints and appends them to a file."""
    key = tmp_path / "key.pem"
    key.write_text(KEY)
    key.chmod(0o644)
    environ = {"AUDIT_KEY_FILE": "/run/key.pem", "AUDIT_CHECKPOINT_FILE": NOTES}
    return new_container(environ, [f"--volume={key}:/run/key.pem:ro"]).until_ready()


def audit(container: Container, *words: str) -> subprocess.CompletedProcess[str]:
    """Run an audit command in the container, as docs/operations.md does."""
    command = ("-m", "santaserver", "audit", *words)
    return podman("exec", "--workdir=/app", container.id, PYTHON, *command, check=False)


def test_a_checkpoint_is_signed_and_verified_in_the_container(container: Container) -> None:
    with httpx.Client(base_url=container.url, headers={"Origin": container.url}, timeout=30) as client:
        login = {"username": ADMIN[0], "password": ADMIN[1]}
        client.post("/api/v1/auth/login", json=login).raise_for_status()
        made = client.post("/api/v1/audit/checkpoint").json()
    assert made["signed"] is True
    key = audit(container, "key").stdout.strip()
    assert key == made["verifier_key"]
    exported = audit(container, "export", "--output", EXPORTED)
    assert exported.returncode == 0, exported.stderr
    verifying = ("verify", EXPORTED, "--checkpoint", NOTES, "--key", key)
    good = audit(container, *verifying)
    assert (good.returncode, good.stdout[:6]) == (0, "good: "), good.stdout + good.stderr
    container.python(
        f"from pathlib import Path; path = Path('{EXPORTED}'); "
        "path.write_text(path.read_text().replace('user_created', 'user_removed'))"
    )
    bad = audit(container, *verifying)
    assert (bad.returncode, bad.stdout[:26]) == (1, "BAD: first bad entry 1: en"), bad.stdout + bad.stderr
