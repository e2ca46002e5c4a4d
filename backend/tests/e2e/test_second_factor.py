"""Passkeys, authenticator apps and recovery codes in the browser, with Chromium's own authenticator."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from santaserver.second_factor import totp
from tests.e2e.chain import Pair, free_addresses
from tests.e2e.conftest import Deployment, OpenPage, form_dialog
from tests.e2e.layout import WIDTHS, fits
from tests.e2e.test_people import NEXT, row_of, shown
from tests.e2e.test_roles import PASSWORD, user
from tests.support import secrets


@pytest.fixture(scope="module")
def office() -> Iterator[str]:
    """Run a server beside the deployment whose host name browsers take for passkeys; return its address."""
    (public,) = free_addresses(1)
    url = f"http://localhost:{public.rpartition(':')[2]}"
    with TemporaryDirectory(prefix="santa-") as folder:
        variables = {"PUBLIC_URL": url, "SANTA__SOCKET__HTTP__LISTEN": public, "UVICORN_WORKERS": "1"}
        pair = Pair(Path(folder), **variables)
        try:
            pair.until("ready")
            yield url
        finally:
            pair.stop()


def with_authenticator(page: Page) -> None:
    """Give a browser an authenticator that checks who uses it, and is always touched."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def person(deployment: Deployment, role: str = "viewer") -> str:
    """Create a user; return the name."""
    with deployment.api() as api:
        return user(api, {"role": role})


def visit(open_page: OpenPage, url: str, width: str, **options: Any) -> Page:  # noqa: ANN401 - of the browser
    """Open a page that has an authenticator."""
    page = open_page("/health", viewport=WIDTHS[width], **options).page
    with_authenticator(page)
    page.goto(url)
    return page


def enter_password(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in the form of the login page."""
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()


def is_in(page: Page) -> None:
    """Wait for the first page."""
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    secrets.remember(PASSWORD, *(str(cookie["value"]) for cookie in page.context.cookies()))


def log_out(page: Page, office: str, width: str) -> None:
    """Log out with the button, and open the login page for the first page."""
    if width == "phone":
        page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in to SantaServer")).to_be_visible()
    page.goto(f"{office}/login")


def stored_codes(page: Page) -> list[str]:
    """Read the recovery codes, and say that they are stored."""
    dialog = page.get_by_role("dialog", name="Recovery codes")
    expect(dialog.get_by_role("listitem")).to_have_count(10)
    codes = dialog.get_by_role("listitem").all_inner_texts()
    secrets.remember(*codes)
    fits(page)
    dialog.get_by_role("button", name="I have stored them").click()
    return codes


def test_a_passkey_is_added_logs_in_and_is_removed(
    open_page: OpenPage, deployment: Deployment, office: str
) -> None:
    page = visit(open_page, f"{office}/account", "phone")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    fits(page)
    enter_password(page, person(deployment))
    panel = page.get_by_role("region", name="Sign-in and security")
    expect(panel.get_by_text("Your password alone logs you in.")).to_be_visible()
    fits(page)
    panel.get_by_role("button", name="Add a passkey").click()
    dialog = page.get_by_role("dialog", name="Add a passkey")
    dialog.get_by_label("Name").fill("Travel laptop")
    fits(page)
    dialog.get_by_role("button", name="Continue").click()
    stored_codes(page)
    expect(panel.get_by_text("Travel laptop")).to_be_visible()
    expect(panel.get_by_text("10 of 10 left")).to_be_visible()
    fits(page)
    secrets.remember(*(str(cookie["value"]) for cookie in page.context.cookies()))
    log_out(page, office, "phone")
    page.get_by_role("button", name="Sign in with a passkey").click()
    is_in(page)
    page.goto(f"{office}/account")
    expect(panel.get_by_text("last used")).to_be_visible()
    panel.get_by_role("button", name="Add a passkey").click()
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.get_by_text("This device already has a passkey for your account.")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    panel.get_by_role("list", name="Passkeys").get_by_role("button", name="Remove").click()
    question = form_dialog(page)
    expect(question).to_contain_text("your password alone will log you in")
    fits(page)
    question.get_by_role("button", name="Remove").click()
    expect(panel.get_by_text("Your password alone logs you in.")).to_be_visible()
    log_out(page, office, "phone")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("This passkey was not accepted")
    fits(page)


def test_an_app_is_set_up_and_its_codes_log_in(
    open_page: OpenPage, deployment: Deployment, office: str
) -> None:
    name = person(deployment)
    page = visit(open_page, f"{office}/account", "phone")
    enter_password(page, name)
    panel = page.get_by_role("region", name="Sign-in and security")
    panel.get_by_role("button", name="Set up").click()
    dialog = page.get_by_role("dialog", name="Set up an authenticator app")
    expect(dialog.get_by_role("img", name="QR code")).to_be_visible()
    key = base64.b32decode(shown(dialog))
    fits(page)

    def code(later: int = 0) -> str:
        return totp.code_at(key, totp.step_at(datetime.now(UTC)) + later)

    field = dialog.get_by_label("Code that the app shows now")
    field.fill("no code")
    dialog.get_by_role("button", name="Turn on").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill(code())
    dialog.get_by_role("button", name="Turn on").click()
    codes = stored_codes(page)
    expect(panel.get_by_text("Set up just now")).to_be_visible()
    fits(page)
    secrets.remember(*(str(cookie["value"]) for cookie in page.context.cookies()))
    log_out(page, office, "phone")

    enter_password(page, name)
    field = page.get_by_label("Code of your authenticator app")
    expect(field).to_be_focused()
    fits(page)
    field.fill("no code")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("The code is wrong")
    expect(field).to_be_focused()
    fits(page)
    page.goto(f"{office}/rules")
    expect(page.get_by_role("heading", name="Log in to SantaServer")).to_be_visible()
    enter_password(page, name)
    field.fill(code(+1))  # the present one may be used up
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Rules", level=1)).to_be_visible()
    secrets.remember(*(str(cookie["value"]) for cookie in page.context.cookies()))
    log_out(page, office, "phone")

    enter_password(page, name)
    page.get_by_role("button", name="Use a recovery code").click()
    page.get_by_label("Recovery code").fill(codes[0])
    page.get_by_role("button", name="Continue").click()
    is_in(page)
    page.goto(f"{office}/account")
    expect(panel.get_by_text("9 of 10 left")).to_be_visible()


def test_an_old_login_is_proved_with_a_passkey(
    open_page: OpenPage, deployment: Deployment, office: str
) -> None:
    page = visit(open_page, f"{office}/account", "desktop")
    enter_password(page, person(deployment))
    panel = page.get_by_role("region", name="Sign-in and security")
    panel.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("dialog", name="Add a passkey").get_by_role("button", name="Continue").click()
    stored_codes(page)

    def stale(route: Route) -> None:
        body = {"status": 403, "title": "Forbidden", "detail": "x", "code": "fresh_login_required"}
        route.fulfill(status=403, body=json.dumps(body), content_type="application/problem+json")

    page.route("**/api/v1/auth/second-factor/recovery-codes", stale, times=1)
    panel.get_by_role("button", name="New codes").click()
    form_dialog(page).get_by_role("button", name="New codes").click()
    question = page.get_by_role("dialog", name="Is it still you?")
    expect(question.get_by_label("Recovery code")).to_be_visible()
    question.get_by_role("button", name="Use a passkey").click()
    assert len(set(stored_codes(page))) == 10
    secrets.remember(*(str(cookie["value"]) for cookie in page.context.cookies()))


def test_a_new_administrator_is_offered_a_passkey_and_an_administrator_resets_it(
    open_page: OpenPage, deployment: Deployment, office: str
) -> None:
    secrets.remember(NEXT)
    with deployment.api() as api:
        boss = user(api, {"role": "admin"})
        body = {"username": f"new-{boss}", "roles": [{"role": "admin"}]}
        made = api.post("/api/v1/users", json=body).json()
        link = api.post(f"/api/v1/users/{made['id']}/setup-link").json()["url"]
    secret = link.partition("#")[2]
    secrets.remember(secret)
    page = visit(open_page, f"{office}/setup#{secret}", "phone")
    page.get_by_label("Password", exact=True).fill(NEXT)
    page.get_by_label("Password again").fill(NEXT)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Protect your account")).to_be_visible()
    fits(page)
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("dialog", name="Add a passkey").get_by_role("button", name="Continue").click()
    stored_codes(page)
    is_in(page)
    log_out(page, office, "phone")
    enter_password(page, made["username"], NEXT)
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    fits(page)

    other = visit(open_page, f"{office}/people?q={made['username']}", "desktop")
    enter_password(other, boss)
    row_of(other, made["username"]).get_by_role("button", name="Reset 2FA").click()
    expect(form_dialog(other)).to_contain_text("the password alone logs the user in")
    fits(other)
    form_dialog(other).get_by_role("button", name="Reset", exact=True).click()
    expect(row_of(other, made["username"]).get_by_role("button", name="Reset 2FA")).to_have_count(0)
    secrets.remember(*(str(cookie["value"]) for cookie in other.context.cookies()))
    page.get_by_role("button", name="Start again").click()
    enter_password(page, made["username"], NEXT)
    is_in(page)
