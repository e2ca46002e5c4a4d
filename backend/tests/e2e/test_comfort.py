"""Input is not lost, pages load data once, and the page about a blocked program works."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from playwright.sync_api import Page, Request, Response, WebSocketRoute, expect

from tests.e2e.conftest import Deployment, OpenPage, form_dialog
from tests.support.santa_client import SimulatedMac

NewMac = Callable[..., SimulatedMac]
PAGES = (
    "/",
    "/machines",
    "/rules",
    "/rules/removed",
    "/tags",
    "/events",
    "/programs",
    "/enrollments",
    "/settings",
)
WIDTHS = (375, 768, 1440)


T = TypeVar("T")


def keep(found: list[T]) -> Callable[[T], None]:
    def hear(one: T) -> None:
        found.append(one)

    return hear


def test_a_stranger_sees_no_errors_on_the_way_to_the_login(open_page: OpenPage) -> None:
    visit = open_page("/favicon.svg")
    responses: list[Response] = []
    visit.page.on("response", keep(responses))
    for path in ("/", "/machines", "/settings?layer=global"):
        visit.page.goto(path)
        visit.page.get_by_label("Password").wait_for()
        visit.page.wait_for_load_state("networkidle")
        assert visit.complaints == []
        assert [response.url for response in responses if response.status >= 400] == []


def without_updates(browser: WebSocketRoute) -> None:
    """Pass on only the first message: after an update a page may load again."""
    server = browser.connect_to_server()
    server.on_message(lambda text: browser.send(text) if json.loads(text)["type"] == "hello" else None)


def test_no_page_reads_anything_twice(logged_in: OpenPage, mac: NewMac) -> None:
    one = mac()
    one.sync()
    visit = logged_in("/favicon.svg")
    visit.page.route_web_socket("**/api/v1/live*", without_updates)
    requests: list[Request] = []
    visit.page.on("request", keep(requests))
    for path in (*PAGES, f"/machines/{one.machine_id}"):
        requests.clear()
        visit.page.goto(path)
        visit.page.get_by_text("Live", exact=True).first.wait_for()
        visit.page.wait_for_load_state("networkidle")
        asked = Counter(request.url for request in requests if "/api/v1/" in request.url)
        twice = [url for url, number in asked.items() if number > 1]
        assert twice == [], path
        assert visit.complaints == []


def test_escape_does_not_lose_a_secret(logged_in: OpenPage) -> None:
    page = logged_in("/enrollments").page
    page.get_by_role("button", name="New enrollment").click()
    page.get_by_label("Label").fill(f"escape {time.time_ns()}")
    press_escape_often(page)
    expect(page.get_by_label("Label")).to_have_value(re.compile("escape"))
    page.get_by_role("button", name="Go back").click()
    page.get_by_role("button", name=re.compile("Create enrollment")).click()
    dialog = form_dialog(page)
    expect(dialog.get_by_text("It is shown only now")).to_be_visible()
    secret = dialog.locator(".secret .mono").inner_text()
    press_escape_often(page)
    expect(dialog.locator(".secret .mono")).to_have_text(secret)
    expect(dialog.get_by_text("You cannot create a profile without it")).to_be_visible()
    dialog.get_by_role("button", name="Go back").click()
    dialog.get_by_role("button", name="Close", exact=True).click()
    expect(dialog.locator(".secret .mono")).to_have_text(secret)
    dialog.get_by_role("button", name="Go back").click()
    with page.expect_download():
        dialog.get_by_role("button", name="Download profile").click()
    expect(dialog.get_by_text("Downloaded santaserver-enrollment")).to_be_visible()
    dialog.get_by_role("button", name="I have stored the secret").click()
    expect(dialog).to_be_hidden()


def test_escape_does_not_lose_half_a_rule_and_closes_an_empty_form(logged_in: OpenPage) -> None:
    page = logged_in("/rules").page
    page.get_by_role("button", name="New rule").click()
    press_escape_often(page)
    expect(form_dialog(page)).to_be_hidden()
    page.get_by_role("button", name="New rule").click()
    page.get_by_label("Comment").fill("half a rule")
    press_escape_often(page)
    expect(page.get_by_label("Comment")).to_have_value("half a rule")
    page.get_by_role("button", name="Close anyway").click()
    expect(form_dialog(page)).to_be_hidden()


def press_escape_often(page: Page) -> None:
    """The question comes once; a browser closes a dialog after repeated presses."""
    for _ in range(3):
        page.keyboard.press("Escape")


def test_who_is_blocked_finds_a_page_without_a_login(
    deployment: Deployment, mac: NewMac, open_page: OpenPage
) -> None:
    one = mac()
    one.sync()
    name = f"Game {time.time_ns()}"
    event = one.block(name, time.time(), decision="BLOCK_TEAMID", executing_user="ada")
    visit = open_page(f"/blocked/{event['file_sha256']}")
    page = visit.page
    expect(page.get_by_role("heading", name=f"{name} was blocked")).to_be_visible()
    expect(page.get_by_text("all programs from this developer")).to_be_visible()
    expect(page.get_by_text("IT help desk")).to_be_visible()
    text = page.inner_text("body")
    assert not any(word in text for word in (one.hostname, one.machine_id, "ada"))
    for path in ("/blocked/", "/blocked/x/y?z=1", f"/blocked/{'0' * 64}", "/blocked/%25file_identifier%25"):
        page.goto(path)
        expect(page.get_by_role("heading", name="A program was blocked")).to_be_visible()
        expect(page.get_by_text("IT help desk")).to_be_visible()
    assert visit.complaints == []
    assert deployment.url in page.url


def test_the_page_for_who_is_blocked_names_the_contact_of_the_settings(
    deployment: Deployment, logged_in: OpenPage, open_page: OpenPage
) -> None:
    visit = logged_in("/settings")
    page = visit.page
    try:
        page.get_by_label("Contact", exact=True).fill("Front desk\n<b>room 12</b>")
        page.get_by_label("Contact link").fill("javascript:alert(1)")
        page.get_by_role("button", name="Save contact").click()
        expect(page.get_by_text("Enter an address that begins with https://")).to_be_visible()
        page.get_by_label("Contact link").fill("mailto:help@example.com?subject=Blocked")
        page.get_by_role("button", name="Save contact").click()
        expect(page.get_by_text("Contact saved.")).to_be_visible()
        public = open_page(f"/blocked/{'0' * 64}")
        expect(public.page.get_by_text("<b>room 12</b>")).to_be_visible()
        link = public.page.get_by_role("link", name="help@example.com")
        expect(link).to_have_attribute("href", "mailto:help@example.com?subject=Blocked")
        expect(public.page.get_by_text("IT help desk")).to_be_hidden()
        assert public.complaints == []
        page.reload()
        expect(page.get_by_label("Contact", exact=True)).to_have_value("Front desk\n<b>room 12</b>")
        assert visit.complaints == []
    finally:
        with deployment.api() as api:
            api.put("/api/v1/blocked/contact", json={"text": "", "url": ""}).raise_for_status()


def test_nothing_is_wider_than_the_window(logged_in: OpenPage, mac: NewMac) -> None:
    one = mac(hostname="a-rather-long-host-name-of-the-third-floor.office.example.com")
    one.sync()
    one.block("A program with a long name that goes on", time.time())
    page = logged_in("/favicon.svg").page
    for path in (*PAGES, f"/machines/{one.machine_id}", "/rules/files", "/blocked/" + "a" * 64):
        page.goto(path)
        page.get_by_role("heading", level=1).wait_for()
        page.wait_for_load_state("networkidle")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (path, width)
            assert page.evaluate(CLIPPED) == [], (path, width)


CLIPPED = """
[...document.querySelectorAll('.table-frame td, .table-frame th, .table-frame button')]
  .filter((cell) => {
    const frame = cell.closest('.table-frame').getBoundingClientRect();
    const box = cell.getBoundingClientRect();
    return box.width > 0 && (box.right > frame.right + 1 || box.left < frame.left - 1);
  })
  .map((cell) => cell.textContent.trim().slice(0, 40))
"""
