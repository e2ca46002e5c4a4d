"""The documentation: readable by anyone, without a session, without scripts, and searchable."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import Deployment, OpenPage
from tests.e2e.layout import WIDTHS, fits, overflow, settled

PAGES = [f"/docs/{name}" for name in ("", "install/", "mdm/", "incidents/", "operations/", "configuration/")]
"""Those with the widest tables, the longest lines, and the most text."""


def test_pages_are_accessible_and_fit(open_page: OpenPage) -> None:
    visit = open_page("/docs/", viewport=WIDTHS["desktop"])
    for path in PAGES:
        visit.page.goto(path)
        settled(visit.page)
        fits(visit.page, passing="link-name")
    assert visit.complaints == []  # a violation of the content security policy would be one


def test_pages_ask_the_server_for_nothing_but_files(open_page: OpenPage, deployment: Deployment) -> None:
    visit = open_page("/docs/")
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url.removeprefix(deployment.url)))
    visit.page.get_by_role("link", name="Five-minute tutorial").first.click()
    expect(visit.page).to_have_url(re.compile("/docs/tutorial/$"))
    expect(visit.page).to_have_title("Five-minute tutorial · SantaServer")
    visit.page.reload()
    settled(visit.page)
    assert [path for path in asked if not path.startswith(("/docs/", "/_app/", "/favicon"))] == []
    assert visit.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_search_finds_a_section_by_keyboard(open_page: OpenPage, width: str) -> None:
    visit = open_page("/docs/", viewport=WIDTHS[width])
    settled(visit.page)
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("locked out")
    hits = visit.page.get_by_role("list", name="Matches").get_by_role("link")
    expect(hits.first).to_contain_text("Locked out of the console")
    assert (violations(visit.page, passing="link-name"), overflow(visit.page)) == ([], 0)
    visit.page.keyboard.press("ArrowDown")
    expect(hits.first).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(visit.page).to_have_url(re.compile("/docs/incidents/#locked-out-of-the-console$"))
    expect(visit.page.get_by_role("heading", name="Locked out of the console")).to_be_in_viewport()
    expect(hits).to_have_count(0)
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("qwertzuiop")
    expect(visit.page.get_by_role("status").filter(has_text="No matches")).to_be_attached()
    visit.page.keyboard.press("Escape")
    expect(visit.page.get_by_label("Search the documentation")).to_have_value("")
    assert visit.complaints == []


def test_pages_are_readable_without_scripts(browser: Browser, deployment: Deployment) -> None:
    context = browser.new_context(base_url=deployment.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/docs/")
    page.get_by_role("link", name="Incident guide").first.click()
    expect(page).to_have_title("Incident guide · SantaServer")
    expect(page.get_by_role("heading", name="A rule blocked something vital")).to_be_visible()
    expect(page.get_by_role("navigation", name="Documentation")).to_be_visible()
    expect(page.get_by_text("needs JavaScript")).to_be_hidden()
    context.close()


def test_print_shows_the_text_alone(open_page: OpenPage) -> None:
    page = open_page("/docs/tls/").page
    settled(page)
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("navigation")).to_have_count(0)
    expect(page.get_by_label("Search the documentation")).to_be_hidden()


def test_on_a_phone_the_list_of_pages_opens_and_closes(open_page: OpenPage) -> None:
    page = open_page("/docs/", viewport=WIDTHS["phone"]).page
    settled(page)
    pages = page.get_by_role("navigation", name="Documentation")
    expect(pages).to_be_hidden()
    page.get_by_role("button", name="All pages").click()
    pages.get_by_role("link", name="Sizing").click()
    expect(page.get_by_role("heading", level=1, name="Sizing")).to_be_visible()
    expect(pages).to_be_hidden()


def test_an_address_without_a_slash_or_a_page(open_page: OpenPage) -> None:
    visit = open_page("/docs/tls")
    expect(visit.page.get_by_role("heading", level=1, name="TLS and client certificates")).to_be_visible()
    visit.page.goto("/docs/no-such-page")
    expect(visit.page.get_by_role("heading", level=1, name="Page not found")).to_be_visible()


def test_the_login_leads_to_the_documentation(open_page: OpenPage) -> None:
    visit = open_page("/login")
    visit.page.get_by_role("link", name="Documentation").click()
    expect(visit.page.get_by_role("heading", level=1, name="SantaServer documentation")).to_be_visible()
    assert visit.complaints == []
