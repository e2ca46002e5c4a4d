"""Signing in through a real identity provider and out again, in a browser."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.chain import Pair, free_addresses
from tests.e2e.conftest import OpenPage
from tests.e2e.layout import WIDTHS, fits
from tests.support import secrets
from tests.support.provider import CLIENT_SECRET, Provider

NAME = "Example SSO"
LENA = {"name": "Lena Park", "preferred_username": "lena@example.com", "roles": ["viewer"]}


@dataclass
class Office:
    """A deployment whose people sign in through a provider."""

    url: str
    provider: Provider


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    """Run it beside the other deployment, on the same database."""
    (public,) = free_addresses(1)
    url = f"http://{public}"
    secrets.remember(CLIENT_SECRET)
    with Provider(public_url=url) as provider, TemporaryDirectory(prefix="santa-") as folder:
        variables = {
            **provider.environ,
            "OIDC_NAME": NAME,
            "PUBLIC_URL": url,
            "SANTA__SOCKET__HTTP__LISTEN": public,
            "UVICORN_WORKERS": "1",
        }
        pair = Pair(Path(folder), **variables)
        try:
            pair.until("ready")
            yield Office(url, provider)
        finally:
            pair.stop()


def begin(page: Page) -> None:
    """Go to the provider."""
    page.get_by_role("link", name=f"Sign in with {NAME}").click()
    expect(page.get_by_role("button", name="Sign-in")).to_be_visible()


def test_someone_signs_in_sees_name_and_role_and_signs_out(open_page: OpenPage, office: Office) -> None:
    office.provider.order(people={"lena": LENA})
    page = open_page("/health", viewport=WIDTHS["phone"]).page
    page.goto(f"{office.url}/rules?policy=BLOCKLIST")
    expect(page.get_by_role("heading", name="Log in to SantaServer")).to_be_visible()
    fits(page, "link-name")
    begin(page)
    page.locator("input[name=login]").fill("lena")
    page.locator("input[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Rules", level=1)).to_be_visible()
    assert page.url == f"{office.url}/rules?policy=BLOCKLIST"
    secrets.remember(*(str(cookie["value"]) for cookie in page.context.cookies(office.url)))
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_text("Lena Park")).to_be_visible()
    expect(page.get_by_text("Viewer", exact=True)).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page.get_by_role("link", name=f"Sign in with {NAME}")).to_be_visible()
    page.goto(f"{office.url}/rules")
    expect(page.get_by_role("link", name=f"Sign in with {NAME}")).to_be_visible()


def test_a_canceled_sign_in_is_explained_and_a_local_account_still_gets_in(
    open_page: OpenPage, office: Office
) -> None:
    page = open_page("/health", viewport=WIDTHS["phone"]).page
    page.goto(f"{office.url}/login")
    begin(page)
    page.get_by_text("[ Cancel ]").click()
    expect(page.get_by_role("alert")).to_contain_text(f"{NAME} did not let you in, or you canceled.")
    fits(page, "link-name")
    page.get_by_role("link", name="Use a local account").click()
    expect(page.get_by_label("Password")).to_be_visible()
    fits(page)
