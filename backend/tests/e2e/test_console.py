"""Every page, at phone and desktop width, light and dark: no errors in the console and no violations by
axe-core.
"""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Request, Route, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import Deployment, OpenPage, log_in
from tests.e2e.layout import WIDTHS, overflow, settled

PAGES = [
    ("/", "Overview"),
    ("/machines", "Machines"),
    ("/rules", "Rules"),
    ("/rules/files", "Import and export"),
    ("/tags", "Tags"),
    ("/changes", "Changes"),
    ("/enrollments", "Enrollments"),
    ("/account", "Your account"),
    ("/audit", "Audit log"),
    ("/people", "People"),
    ("/events", "Events"),
    ("/events/file-accesses", "File accesses"),
    ("/events/agents", "Agents"),
    ("/programs", "Programs"),
    ("/essentials", "Essentials"),
    ("/settings", "Settings"),
    ("/status", "Status"),
]
FIRST_VISIT = 80 * 1024
"""What a first visit may transfer, in bytes."""


@pytest.mark.parametrize(("path", "heading"), PAGES)
def test_a_page_shows_its_content(logged_in: OpenPage, path: str, heading: str) -> None:
    visit = logged_in(path, viewport=WIDTHS["desktop"])
    expect(visit.page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    settled(visit.page)
    for size in (WIDTHS["desktop"], WIDTHS["phone"]):
        visit.page.set_viewport_size(size)
        assert (violations(visit.page), overflow(visit.page)) == ([], 0), size
    assert visit.complaints == []


def test_a_link_deep_into_the_console_asks_for_the_log_in_and_comes_back(
    open_page: OpenPage, deployment: Deployment
) -> None:
    page = open_page("/rules?policy=BLOCKLIST").page
    page.get_by_label("Username").fill(deployment.username)
    page.get_by_label("Password").fill(deployment.password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Rules", level=1)).to_be_visible()
    assert "policy=BLOCKLIST" in page.url


def test_a_wrong_password_is_said_and_nothing_else(open_page: OpenPage, deployment: Deployment) -> None:
    page = open_page("/login").page
    page.get_by_label("Username").fill(deployment.username)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Wrong username or password.")).to_be_visible()


def test_logging_out_ends_the_session(open_page: OpenPage, deployment: Deployment) -> None:
    page = open_page("/login").page
    log_in(page, deployment)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.goto("/machines")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_an_unknown_page_says_so_and_leads_back(logged_in: OpenPage) -> None:
    page = logged_in("/no-such-page").page
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("link", name="Overview").first.click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()


def test_a_first_visit_loads_little_and_only_from_here_under_a_strict_policy(
    open_page: OpenPage, deployment: Deployment
) -> None:
    page = open_page("/health").page
    responses: list[Request] = []
    page.on("requestfinished", lambda one: responses.append(one))  # noqa: PLW0108 - Playwright cannot take list methods
    page.goto("/login")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert {urlsplit(one.url).netloc for one in responses} == {urlsplit(deployment.url).netloc}
    assert sum(one.sizes()["responseBodySize"] for one in responses) < FIRST_VISIT
    policy = page.locator('meta[http-equiv="content-security-policy"]').get_attribute("content") or ""
    assert "default-src 'none'" in policy
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "https:", "data:"} & set(re.split(r"[ ;]+", policy))


def test_a_slow_connection_sees_that_the_console_is_loading(open_page: OpenPage) -> None:
    page = open_page("/health").page
    held: list[Route] = []
    page.route("**/_app/immutable/*.js", lambda route: held.append(route))  # noqa: PLW0108 - as above
    page.goto("/login", wait_until="commit")
    expect(page.get_by_text("Loading SantaServer")).to_be_visible()
    page.wait_for_function("performance.getEntriesByType('paint').length > 0")
    for route in held:
        route.continue_()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    expect(page.get_by_text("Loading SantaServer")).to_be_hidden()
