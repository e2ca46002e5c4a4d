"""SantaServer in Docker, as the repository's files and its README start it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.engine import IMAGE, XTASK, Site


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """Fail without images."""
    if not (IMAGE and XTASK):
        pytest.fail("these tests need Docker and images: cargo xtask ci docker")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """SantaServer as docker/compose.yaml runs it; removed at the end."""
    site = Site(tmp_path)
    yield site
    site.down()
