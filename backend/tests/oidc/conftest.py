"""A provider for each test process, a server that uses it, and a browser."""

from collections.abc import Callable, Iterator

import pytest

from tests.support import secrets
from tests.support.provider import CLIENT_SECRET, Browser, Provider
from tests.support.server import RunningServer

OpenBrowser = Callable[..., Browser]


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


@pytest.fixture
def server(dsn: str, provider: Provider) -> Iterator[RunningServer]:
    """A server whose people sign in through the provider."""
    with RunningServer(dsn, provider.environ) as running:
        provider.order(server=running.url)
        yield running


@pytest.fixture
def open_browser(server: RunningServer) -> Iterator[OpenBrowser]:
    """Return a function that opens a browser of somebody."""
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
    """A browser of somebody called lena."""
    return open_browser()
