"""Containers of the image beside a real PostgreSQL."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import pytest

from tests.image.container import HARDENED, IMAGE, Container
from tests.support.postgres import Cluster

NewContainer = Callable[..., Container]


@pytest.fixture(scope="session", autouse=True)
def image() -> None:
    """Fail without an image, or where containers cannot be restricted."""
    if not IMAGE or "--read-only" not in HARDENED:
        pytest.fail("these tests need SANTA_IMAGE and SANTA_IMAGE_HARDENED: cargo xtask ci image")


@pytest.fixture(scope="session")
def shared_cluster(cluster: Cluster) -> Cluster:
    """PostgreSQL with a socket for every user of this machine."""
    cluster.folder.chmod(0o755)
    return cluster


@pytest.fixture
def new_container(shared_cluster: Cluster, template: str) -> Iterator[NewContainer]:
    """Start containers that are removed at the end; each has a migrated database of its own."""
    with ExitStack() as stack:

        def start(
            environ: Mapping[str, str] | None = None,
            options: Sequence[str] = (),
            database: str | None = None,
        ) -> Container:
            name = database or shared_cluster.create(template)
            return stack.enter_context(Container(shared_cluster.folder, name, environ, options))

        yield start


@pytest.fixture(scope="module")
def running(shared_cluster: Cluster, template: str) -> Iterator[Container]:
    """One container for the tests of a file that leave it as it is."""
    with Container(shared_cluster.folder, shared_cluster.create(template)) as container:
        yield container.until_ready()
