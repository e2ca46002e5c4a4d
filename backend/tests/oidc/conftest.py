"""A provider for each test process, a server that uses it, and a browser."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.support import secrets
from tests.support.postgres import Cluster, value
from tests.support.provider import CLIENT_SECRET, Browser, Provider
from tests.support.server import RunningServer

OpenBrowser = Callable[..., Browser]


@dataclass
class Shared:
    """A server for all tests of a file, and a browser that the provider knows already."""

    server: RunningServer
    provider: Provider
    browser: Browser

    def sessions(self) -> int:
        """Return how many sessions there are."""
        number: int = value(self.server.dsn, "select count(*) from user_session")
        return number


@pytest.fixture(scope="session")
def running_provider() -> Iterator[Provider]:
    """The provider, which many tests use one after the other."""
    secrets.remember(CLIENT_SECRET)
    with Provider() as made:
        yield made


@pytest.fixture
def provider(running_provider: Provider) -> Iterator[Provider]:
    """The provider without faults."""
    running_provider.reset()
    yield running_provider
    running_provider.reset()


@pytest.fixture(scope="module")
def shared_by_all(cluster: Cluster, template: str, running_provider: Provider) -> Iterator[Shared]:
    """The server of a file."""
    running_provider.reset()
    name = cluster.create(template)
    with RunningServer(cluster.dsn(name), running_provider.environ) as server:
        running_provider.order(server=server.url)
        browser = Browser(server.client())
        yield Shared(server, running_provider, browser)
        browser.server.close()
        browser.close()
    cluster.drop(name)


@pytest.fixture
def shared(shared_by_all: Shared) -> Iterator[Shared]:
    """The same, with a provider without faults."""
    shared_by_all.provider.reset()
    shared_by_all.provider.order(server=shared_by_all.server.url)
    yield shared_by_all
    shared_by_all.provider.reset()


@pytest.fixture
def server(dsn: str, provider: Provider) -> Iterator[RunningServer]:
    """A server whose people sign in through the provider."""
    with RunningServer(dsn, provider.environ) as running:
        provider.order(server=running.url)
        yield running


@pytest.fixture
def open_browser(server: RunningServer) -> Iterator[OpenBrowser]:
    """Return a function that opens a browser of someone."""
    opened: list[Browser] = []

    def made(login: str = "lena", other: RunningServer | None = None) -> Browser:
        browser = Browser((other or server).client(), login)
        opened.append(browser)
        return browser

    yield made
    for browser in opened:
        browser.server.close()
        browser.close()


@pytest.fixture
def browser(open_browser: OpenBrowser) -> Browser:
    """A browser of someone called lena."""
    return open_browser()
