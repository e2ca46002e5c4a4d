"""Dialogs, long texts and missing objects by axe-core (WCAG 2.2 AA); other pages: test_console.py."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Deployment, OpenPage, form_dialog
from tests.e2e.layout import WIDTHS, fits, settled
from tests.support.santa_client import SimulatedMac

LONG_SIGNING_ID = "ABCDE12345:" + "com.example.a-rather-long-name." * 6 + "helper"


@pytest.fixture(scope="module")
def filled(deployment: Deployment) -> Iterator[dict[str, str]]:
    """Fill the pages of one tag and one Mac with long and foreign names; give their paths."""
    number = time.time_ns()
    one = SimulatedMac(
        deployment.url, secret=deployment.secret, hostname=f"{'very-long-' * 6}{number}.example.com"
    )
    with deployment.api() as api, closing(one):
        one.sync()
        tag = api.post("/api/v1/tags", json={"name": f"long-{number}", "description": "😀 مرحبا " * 12})
        made = tag.raise_for_status().json()
        rules = []
        for layer in (made["layer"], f"machine:{one.machine_id}", f"user:lena-{number}"):
            body = {"layer": layer, "rule_type": "SIGNINGID", "identifier": LONG_SIGNING_ID, "locked": True}
            body |= {"policy": "BLOCKLIST", "comment": "😀 مرحبا " * 12, "expires_at": "2999-01-01T00:00:00Z"}
            rules.append(api.post("/api/v1/rules", json=body).raise_for_status().json()["id"])
        settings = {
            "values": {"event_detail_url": "https://example.com/" + "a" * 300, "client_mode": "MONITOR"},
            "locked": ["client_mode"],
        }
        api.put("/api/v1/settings/layer", params={"layer": made["layer"]}, json=settings).raise_for_status()
        yield {
            "tag": f"/tags/{made['id']}",
            "machine": f"/machines/{one.machine_id}",
            "settings": f"/settings?layer={made['layer']}",
            "rules": f"/rules?q={LONG_SIGNING_ID}",
            "unknown page": "/no-such-page",
            "unknown machine": "/machines/nobody",
            "unknown tag": "/tags/999999",
            "empty list": "/programs?q=nothing-has-this-name",
        }
        for rule in rules:
            api.delete(f"/api/v1/rules/{rule}").raise_for_status()
        api.delete(f"/api/v1/tags/{made['id']}").raise_for_status()


def test_long_and_missing_things_have_no_violation_and_fit(
    logged_in: OpenPage, filled: dict[str, str]
) -> None:
    page = logged_in("/", viewport=WIDTHS["desktop"]).page
    for path in filled.values():
        page.goto(path)
        settled(page)
        fits(page)


def test_the_log_in_has_no_violation(open_page: OpenPage) -> None:
    page = open_page("/login", viewport=WIDTHS["desktop"]).page
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    fits(page)


DIALOGS: dict[str, dict[str, str | None]] = {
    "/rules": {"New rule": "Create rule"},
    "/tags": {"New tag": None},
    "/enrollments": dict.fromkeys(("New enrollment", "Edit", "Serials", "Profile", "Secrets")),
    "machine": dict.fromkeys(("Monitor mode", "Clean sync")),
}
"""By page, the buttons that open one, and the button that shows its errors."""


@pytest.mark.parametrize("path", DIALOGS)
def test_a_dialog_has_no_violation_and_gives_the_focus_back(
    logged_in: OpenPage, filled: dict[str, str], path: str
) -> None:
    page = logged_in(filled.get(path, path), viewport=WIDTHS["desktop"]).page
    settled(page)
    for button, send in DIALOGS[path].items():
        opener = page.get_by_role("button", name=button).first
        opener.click()
        dialog = form_dialog(page)
        expect(dialog).to_be_visible()
        expect(dialog.locator(":focus")).to_have_count(1)
        expect(dialog.get_by_role("button", name="Close", exact=True).first).not_to_be_focused()
        fits(page)
        if send:
            dialog.get_by_role("button", name=send).click()
            expect(dialog.locator("[aria-invalid=true]").first).to_be_focused()
            fits(page)
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(opener).to_be_focused()
