"""Users, service accounts, tokens, sessions and setup links in the browser."""

import json
from uuid import uuid4

import httpx
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import Deployment, OpenPage, form_dialog
from tests.e2e.layout import WIDTHS, fits
from tests.e2e.test_roles import PASSWORD, enter, user
from tests.support import secrets

NEXT = "another battery staple horse"


def row_of(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has_text=name)


def shown(dialog: Locator) -> str:
    """Return the secret that a dialog shows once."""
    text = dialog.locator(".copy .mono").inner_text()
    secrets.remember(text, text.rpartition("#")[2])
    return text


def test_someone_is_invited_and_chooses_a_password(open_page: OpenPage, deployment: Deployment) -> None:
    secrets.remember(NEXT)
    with deployment.api() as api:
        boss = user(api, {"role": "admin"})
    name = f"ada-{uuid4().hex[:8]}"
    visit = enter(open_page, boss, "phone", "Overview")
    page = visit.page
    page.goto(f"/people?q={boss}")
    expect(row_of(page, boss)).to_be_visible()
    fits(page)
    page.get_by_role("button", name="New user").click()
    dialog = form_dialog(page)
    dialog.get_by_label("User name").fill(name)
    dialog.get_by_label("Role 1", exact=True).select_option("auditor")
    fits(page)
    dialog.get_by_role("button", name="Create user").click()
    link = shown(page.get_by_role("dialog", name=f"Setup link for {name}"))
    fits(page)
    page.get_by_role("button", name="Done").click()
    expect(row_of(page, name)).to_contain_text("Invited")
    expect(row_of(page, name)).to_contain_text("Auditor")

    theirs = open_page(link.removeprefix(deployment.url), viewport=WIDTHS["phone"])
    setup = theirs.page
    expect(setup.get_by_role("heading", name="Choose your password")).to_be_visible()
    assert "#" not in setup.url
    fits(setup)
    setup.get_by_label("Password", exact=True).fill("short")
    setup.get_by_role("button", name="Continue").click()
    expect(setup.get_by_label("Password", exact=True)).to_have_attribute("aria-invalid", "true")
    setup.get_by_label("Password", exact=True).fill(NEXT)
    setup.get_by_label("Password again").fill(NEXT)
    setup.get_by_role("button", name="Continue").click()
    expect(setup.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    secrets.remember(*(str(cookie["value"]) for cookie in setup.context.cookies()))
    used = open_page(link.removeprefix(deployment.url)).page
    expect(used.get_by_text("This link is not valid any more")).to_be_visible()
    assert (visit.complaints, theirs.complaints) == ([], [])


def test_a_service_account_gets_a_token_that_is_rotated_and_revoked(
    open_page: OpenPage, deployment: Deployment
) -> None:
    with deployment.api() as api:
        boss = user(api, {"role": "admin"})
    name = f"bot-{uuid4().hex[:8]}"
    visit = enter(open_page, boss, "phone", "Overview")
    page = visit.page
    page.goto(f"/people?q={name}")
    page.get_by_role("button", name="New user").click()
    dialog = form_dialog(page)
    dialog.get_by_label("Service account").check()
    dialog.get_by_label("User name").fill(name)
    dialog.get_by_role("button", name="Create user").click()
    panel = page.get_by_role("region", name=f"Tokens of {name}")
    panel.get_by_role("button", name="New token").click()
    dialog = form_dialog(page)
    dialog.get_by_label("Name").fill("ci")
    dialog.get_by_label("rule:read").check()
    fits(page)
    dialog.get_by_role("button", name="Create token").click()
    first = shown(page.get_by_role("dialog", name="Token ci"))
    fits(page)
    page.get_by_role("button", name="Done").click()
    assert answer(deployment, first) == httpx.codes.OK
    panel.get_by_role("button", name="Rotate").click()
    form_dialog(page).get_by_role("button", name="Make new secret").click()
    second = shown(page.get_by_role("dialog", name="Token ci"))
    page.get_by_role("button", name="Done").click()
    expect(panel).to_contain_text("earlier secret until")
    assert [answer(deployment, one) for one in (first, second)] == [httpx.codes.OK] * 2
    fits(page)
    panel.get_by_role("button", name="Revoke").click()
    form_dialog(page).get_by_role("button", name="Revoke token").click()
    expect(panel.get_by_text("No API tokens")).to_be_visible()
    assert [answer(deployment, one) for one in (first, second)] == [httpx.codes.UNAUTHORIZED] * 2
    row_of(page, name).get_by_role("button", name="Remove").click()
    form_dialog(page).get_by_role("button", name="Remove user").click()
    expect(row_of(page, name)).to_have_count(0)
    assert visit.complaints == []


def answer(deployment: Deployment, secret: str) -> int:
    """Return how a request with a token is answered."""
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.get(f"{deployment.url}/api/v1/rules", headers=headers).status_code


def test_an_old_login_is_asked_for_the_password_and_the_change_is_made(
    open_page: OpenPage, deployment: Deployment
) -> None:
    with deployment.api() as api:
        boss, other = user(api, {"role": "admin"}), user(api, {"role": "viewer"})
    page = enter(open_page, boss, "desktop", "Overview").page
    page.goto(f"/people?q={other}")

    def stale(route: Route) -> None:
        body = {"status": 403, "title": "Forbidden", "detail": "x", "code": "fresh_login_required"}
        route.fulfill(status=403, body=json.dumps(body), content_type="application/problem+json")

    page.route("**/api/v1/users/*", stale, times=1)
    row_of(page, other).get_by_role("button", name="Disable").click()
    form_dialog(page).get_by_role("button", name="Disable").click()
    question = page.get_by_role("dialog", name="Is it still you?")
    expect(question).to_be_visible()
    question.get_by_label("Password").fill("not the password")
    question.get_by_role("button", name="Continue").click()
    expect(question.get_by_text("The password is wrong")).to_be_visible()
    question.get_by_label("Password").fill(PASSWORD)
    question.get_by_role("button", name="Continue").click()
    expect(row_of(page, other)).to_contain_text("Disabled")
    secrets.remember(*(str(cookie["value"]) for cookie in page.context.cookies()))


def test_a_user_sees_the_own_sessions_and_ends_the_others(
    open_page: OpenPage, deployment: Deployment
) -> None:
    with deployment.api() as api:
        name = user(api, {"role": "viewer"})
    here, one, two = (enter(open_page, name, "phone", "Overview") for _ in range(3))
    page = here.page
    page.goto("/account")
    sessions = page.get_by_role("region", name="Sessions")
    expect(sessions.get_by_text("This browser")).to_have_count(1)
    fits(page)
    sessions.get_by_role("button", name="End", exact=True).first.click()
    expect(sessions.get_by_role("button", name="End", exact=True)).to_have_count(1)
    sessions.get_by_role("button", name="End all others").click()
    form_dialog(page).get_by_role("button", name="End sessions").click()
    expect(sessions.get_by_role("button", name="End", exact=True)).to_have_count(0)
    for ended in (one, two):
        expect(ended.page.get_by_role("heading", name="Log in")).to_be_visible()
    assert here.complaints == []
