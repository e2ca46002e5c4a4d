"""The pod of docker/k8s runs, as far as podman plays it: one replica, its settings, its restrictions.

Whether the manifests are valid for Kubernetes itself is another check (`cargo xtask ci kubernetes`).
"""

import base64
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.image.container import IMAGE, KEY, SOCKETS, TIMEOUT, free_port, podman
from tests.image.test_hardening import status_of
from tests.support.postgres import Cluster

MANIFEST = Path(__file__).parents[3] / "docker/k8s/santaserver.yaml"
SECRET = "santaserver"
CONTAINER = "santaserver-pod-0-santaserver"
NETWORK = [f"--network={name}" for name in (os.environ.get("SANTA_IMAGE_NETWORK"),) if name]
"""Where pods go; podman would make one more network for them, on addresses of its choosing."""
READS_ITS_SECRETS = (4, 4)


def played(text: str, *options: str) -> None:
    """Give podman a manifest."""
    done = subprocess.run(  # noqa: S603 - the engine under test
        ["podman", "kube", "play", *options, "-"],  # noqa: S607
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def make_secret(values: dict[str, str]) -> None:
    """Make the secret that the deployment names; podman before 4.4 cannot read what it plays itself."""
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    version = podman("version", "--format", "{{.Client.Version}}").stdout.strip()
    if tuple(int(part) for part in version.split(".")[:2]) >= READS_ITS_SECRETS:
        played(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "data": data}))
        return
    subprocess.run(  # noqa: S603 - the engine under test
        ["podman", "secret", "create", SECRET, "-"],  # noqa: S607
        input=json.dumps(data),
        text=True,
        check=True,
        capture_output=True,
    )


def manifest(port: int, database: str, cluster: Cluster) -> str:
    """Return the manifest with what a cluster would bring: image, port and database."""
    text = MANIFEST.read_text()
    mount, volumes = "            - { name: tmp, mountPath: /tmp }\n", "      volumes:\n"
    sockets = f"            - {{ name: database, mountPath: {SOCKETS} }}\n"
    folder = f"        - {{ name: database, hostPath: {{ path: {cluster.folder} }} }}\n"
    url = f"  DATABASE_URL: postgresql://santa@/{database}?host={SOCKETS}\n"
    for there, here in (
        ("replicas: 3", "replicas: 1"),
        ("image: santaserver:unified", f"image: {IMAGE}"),
        ("containerPort: 8080", f"containerPort: 8080, hostPort: {port}"),
        ("  POSTGRES_SERVER: postgres\n", url),
        ("  POSTGRES_USER: santaserver\n  POSTGRES_DB: santaserver\n", ""),
        (mount, mount + sockets),
        (volumes, volumes + folder),
    ):
        assert text.count(there) >= 1, f"{MANIFEST} has no {there!r}"
        text = text.replace(there, here, 1)
    return text


@pytest.fixture
def pod(shared_cluster: Cluster, template: str) -> Iterator[str]:
    """The pod of the deployment; yields its address."""
    port = free_port()
    make_secret({"SECRET_KEY": KEY, "POSTGRES_PASSWORD": "unused"})
    try:
        played(manifest(port, shared_cluster.create(template), shared_cluster), *NETWORK)
        yield f"http://127.0.0.1:{port}"
    finally:
        podman("pod", "rm", "--force", "--time=0", "santaserver-pod-0", check=False)
        podman("secret", "rm", SECRET, check=False)


def until_ready(url: str) -> None:
    """Wait until the whole chain responds."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/ready", timeout=5).is_success:
                return
        assert time.monotonic() < deadline, podman("logs", CONTAINER, check=False).stdout
        time.sleep(0.1)


def test_the_deployment_leaves_the_user_to_the_cluster() -> None:
    # OpenShift refuses a pod that asks for a number outside of its namespace's range.
    text = MANIFEST.read_text()
    assert "runAsNonRoot: true" in text
    assert "runAsUser" not in text
    assert "runAsGroup" not in text


def test_a_pod_of_the_deployment_becomes_ready_with_all_its_restrictions(pod: str) -> None:
    until_ready(pod)
    found = json.loads(podman("inspect", CONTAINER).stdout)[0]
    assert found["Config"]["User"] == "101:101"
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["HostConfig"]["Memory"] == 512 << 20
    status = status_of(found["State"]["Pid"])
    assert status["Uid"].split() == ["101"] * 4
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert podman("stop", "--time=15", CONTAINER).returncode == 0
    assert json.loads(podman("inspect", CONTAINER).stdout)[0]["State"]["ExitCode"] == 0
