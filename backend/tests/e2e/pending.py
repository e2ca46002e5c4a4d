"""Changes that a page makes and that the server has not answered yet.

Leaving the page cancels them, and asking the server may give what was there before: which happens depends on
what is faster. A test waits for what the user sees of a change instead; these checks fail when one does not.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import httpx
import pytest
from playwright.sync_api import Page, Request

P = ParamSpec("P")
R = TypeVar("R")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OUTLIVES = "ping"
"""The kind of a request that a browser sends also after the page was left (sendBeacon)."""
_open: list["Pending"] = []


class Pending:
    """The unanswered changes of one page."""

    def __init__(self, page: Page) -> None:
        """Watch a page, and check before it is left."""
        self._page = page
        self._pending: list[Request] = []
        page.on("request", self._begun)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)
        for name in ("goto", "reload"):
            setattr(page, name, self._checked(name, getattr(page, name)))
        _open.append(self)

    def expect_none(self, before: str) -> None:
        """Fail when one is sent and not answered."""
        self._page.evaluate("null")  # by its answer, the browser has reported what it has sent
        if self._pending:
            sent = ", ".join(f"{one.method} {one.url}" for one in self._pending)
            pytest.fail(
                f"{before} comes before the answer to {sent}: wait for what {self._page.url} shows of it"
            )

    def close(self) -> None:
        """Check no longer."""
        _open.remove(self)

    def _begun(self, request: Request) -> None:
        if request.method not in SAFE and request.resource_type != OUTLIVES:
            self._pending.append(request)

    def _ended(self, request: Request) -> None:
        if request in self._pending:
            self._pending.remove(request)

    def _checked(self, name: str, leave: Callable[P, R]) -> Callable[P, R]:
        @wraps(leave)
        def checked(*args: P.args, **options: P.kwargs) -> R:
            self.expect_none(name)
            return leave(*args, **options)

        return checked


def expect_none_anywhere(request: httpx.Request) -> None:
    """Fail when an open page changes something: an event hook of httpx for a client of a test."""
    for one in _open:
        one.expect_none(f"{request.method} {request.url.path}")


class Careful(httpx.HTTPTransport):
    """Sends a request after that check."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Check and send."""
        expect_none_anywhere(request)
        return super().handle_request(request)
