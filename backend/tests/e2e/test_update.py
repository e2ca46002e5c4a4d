"""An update of the console while a page is open: no missing parts, no lost forms."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Dialog, Page, Response, Route, StorageState, expect

from tests.e2e.conftest import Deployment, OpenPage
from tests.e2e.other_build import MARK, make_other_build

NEVER_IDLE = "window.requestIdleCallback = () => 0"
"""Prevents a page from loading its parts ahead."""
NEW_CONNECTIONS = 10
"""So many in a row that reach the new santa-proxy: by then the one before it accepts none."""


@pytest.fixture
def logged_in(open_page: OpenPage, session: StorageState) -> OpenPage:
    """Return a function that opens a page in a browser that has read nothing before."""
    return partial(open_page, storage_state=session)


@pytest.fixture
def update(deployment: Deployment, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Return a function that replaces the console by another build; afterwards the first one is back."""
    www = Path(os.environ["SANTA_E2E_WWW"])
    first = tmp_path / "first"
    shutil.copytree(www, first)

    def put(build: Path) -> None:
        shutil.rmtree(www)
        shutil.copytree(build, www)
        deployment.supervise("rolling-restart", "proxy")
        wait_until_served(deployment.url, (build / "index.html").read_text())

    def updated() -> None:
        other = tmp_path / "other"
        shutil.copytree(first, other)
        make_other_build(other)
        assert MARK in (other / "index.html").read_text()
        put(other)

    yield updated
    put(first)


def wait_until_served(url: str, index: str) -> None:
    """Wait until every new connection is answered with this page.

    The stopping santa-proxy may accept some connections until it has seen its signal.
    """
    deadline = time.monotonic() + 30
    in_a_row = 0
    while in_a_row < NEW_CONNECTIONS:
        assert time.monotonic() < deadline, "the console of before is still served"
        served = httpx.get(url, headers={"Accept": "text/html"}).text
        in_a_row = in_a_row + 1 if served == index else 0


def wait_until_read(page: Page) -> None:
    """Wait until the page is shown, live, and has read what it reads ahead."""
    page.get_by_text("Live", exact=True).first.wait_for()
    page.wait_for_load_state("networkidle")


def replace_under(page: Page, update: Callable[[], None]) -> None:
    """Replace the console while `page` is open, and wait until the page has noticed it.

    The page may ask the stopping santa-proxy first, which has the console of before, and asks again.
    """
    first = page.request.get("/_app/version.json").headers["etag"]

    def is_another(response: Response) -> bool:
        return response.url.endswith("/_app/version.json") and response.headers["etag"] != first

    with page.expect_response(is_another) as heard:
        update()
    heard.value.finished()
    page.evaluate(
        "fetch('/health').then((response) => response.text())"
    )  # comes after what the page was told
    wait_until_read(page)


def build_shown(page: Page) -> str:
    """Return which console the browser has loaded."""
    return "other" if page.locator('meta[name="build"]').count() else "first"


def hear_questions(page: Page, *, leave: bool) -> list[str]:
    """Accept the question before the page is left, and record it."""
    asked: list[str] = []

    def handle(dialog: Dialog) -> None:
        asked.append(dialog.type)
        if leave:
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", handle)
    return asked


def test_pages_of_a_console_that_was_not_replaced_are_not_loaded_again(logged_in: OpenPage) -> None:
    page = logged_in("/rules").page
    wait_until_read(page)
    page.evaluate("window.stayed = true")
    page.evaluate("dispatchEvent(new Event('focus'))")  # has the page look for another console
    page.wait_for_load_state("networkidle")
    for name in ("Machines", "Tags"):
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    assert page.evaluate("window.stayed") is True


def test_the_next_page_after_an_update_is_the_new_consoles(
    logged_in: OpenPage, update: Callable[[], None]
) -> None:
    visit = logged_in("/rules")
    wait_until_read(visit.page)
    replace_under(visit.page, update)
    visit.page.get_by_role("navigation").get_by_role("link", name="Machines").click()
    expect(visit.page.get_by_role("heading", name="Machines", level=1)).to_be_visible()
    assert build_shown(visit.page) == "other"
    assert visit.complaints == []


def test_a_page_whose_parts_are_gone_is_read_from_the_new_console(
    logged_in: OpenPage, update: Callable[[], None]
) -> None:
    visit = logged_in("/favicon.svg")
    visit.page.add_init_script(NEVER_IDLE)
    visit.page.goto("/rules")
    wait_until_read(visit.page)
    update()
    visit.page.get_by_role("navigation").get_by_role("link", name="Tags").click()
    expect(visit.page.get_by_role("heading", name="Tags", level=1)).to_be_visible()
    assert build_shown(visit.page) == "other"


@pytest.mark.parametrize("ahead", [True, False])
def test_an_update_does_not_lose_a_form(logged_in: OpenPage, update: Callable[[], None], ahead: bool) -> None:
    page = logged_in("/favicon.svg").page
    if not ahead:
        page.add_init_script(NEVER_IDLE)
    page.goto("/settings")
    wait_until_read(page)
    page.get_by_label("Events per upload", exact=True).fill("77")
    update()
    asked = hear_questions(page, leave=False)
    with page.expect_event("dialog"):
        page.get_by_role("navigation").get_by_role("link", name="Tags").click()
    expect(page.get_by_label("Events per upload", exact=True)).to_have_value("77")
    assert asked == ["confirm"]
    assert build_shown(page) == "first"


def test_leaving_a_form_after_an_update_is_asked_once(
    logged_in: OpenPage, update: Callable[[], None]
) -> None:
    page = logged_in("/settings").page
    wait_until_read(page)
    page.get_by_label("Events per upload", exact=True).fill("77")
    replace_under(page, update)
    asked = hear_questions(page, leave=True)
    page.get_by_role("navigation").get_by_role("link", name="Tags").click()
    expect(page.get_by_role("heading", name="Tags", level=1)).to_be_visible()
    assert build_shown(page) == "other"
    assert asked == ["confirm"]


def test_typing_in_a_filter_does_not_load_another_console(
    logged_in: OpenPage, update: Callable[[], None]
) -> None:
    page = logged_in("/rules").page
    wait_until_read(page)
    replace_under(page, update)
    page.get_by_role("searchbox").first.press_sequentially("firefox")
    page.wait_for_url("**/rules?*firefox*")
    expect(page.get_by_role("searchbox").first).to_be_focused()
    assert build_shown(page) == "first"


@pytest.mark.parametrize("part", ["entry/start", "entry/app", "nodes/0"])
def test_a_console_that_cannot_begin_tries_once_more(open_page: OpenPage, part: str) -> None:
    page = open_page("/health").page
    failures: list[str] = []

    def fail_once(route: Route) -> None:
        if failures:
            route.continue_()
        else:
            failures.append(route.request.url)
            route.abort()

    page.route(f"**/_app/immutable/{part}.*.js", fail_once)
    page.goto("/login")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert len(failures) == 1


def test_a_console_that_cannot_begin_says_so(open_page: OpenPage) -> None:
    page = open_page("/health").page
    page.route("**/_app/immutable/entry/app.*.js", lambda route: route.abort())
    page.goto("/login")
    expect(page.get_by_text("could not be loaded. Reload the page")).to_be_visible()


def test_a_page_that_cannot_be_read_says_so_and_can_be_tried_again(logged_in: OpenPage) -> None:
    page = logged_in("/favicon.svg").page
    page.add_init_script(NEVER_IDLE)
    page.goto("/rules")
    wait_until_read(page)
    page.route("**/_app/immutable/**", lambda route: route.abort())
    page.get_by_role("navigation").get_by_role("link", name="Tags").click()
    expect(page.get_by_role("heading", name="This page could not be loaded", level=1)).to_be_visible()
    page.unroute("**/_app/immutable/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Tags", level=1)).to_be_visible()
