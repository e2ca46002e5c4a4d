"""Tags in the browser: created, filled, reordered, removed; and the effect on a Mac."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Deployment, OpenPage, form_dialog
from tests.support.santa_client import SimulatedMac

NewMac = Callable[..., SimulatedMac]
TARGET = "ab" * 32


@pytest.fixture
def tags(deployment: Deployment) -> Iterator[Callable[..., dict[str, Any]]]:
    """Return a function that makes a tag over REST; it is removed at the end."""
    with deployment.api() as api:
        ids: list[int] = []

        def made(name: str) -> dict[str, Any]:
            response = api.post("/api/v1/tags", json={"name": name}).raise_for_status()
            shown: dict[str, Any] = response.json()
            ids.append(shown["id"])
            return shown

        yield made
        for number in ids:
            api.delete(f"/api/v1/tags/{number}").raise_for_status()


def rule(api: httpx.Client, layer: str, policy: str) -> None:
    body = {"layer": layer, "rule_type": "BINARY", "identifier": TARGET, "policy": policy}
    api.post("/api/v1/rules", json=body).raise_for_status()


def choose_machine(page: Page, label: str, text: str) -> None:
    """Find a Mac with the keyboard alone."""
    page.get_by_label(label).fill(text)
    expect(page.get_by_role("option").filter(has_text=text).first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")


def test_a_tag_made_in_the_browser_gives_its_rules_to_a_member(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    name = f"by-hand-{time.time_ns()}"
    member = mac(hostname=f"{name}.example.com")
    member.sync()
    visit = logged_in("/tags")
    page = visit.page
    page.get_by_role("button", name="New tag").click()
    dialog = form_dialog(page)
    dialog.get_by_label("Name").fill("Browser made")
    dialog.get_by_label("Expression").fill("hostname ==")
    dialog.get_by_role("button", name="Test expression").click()
    expect(dialog.get_by_label("Expression")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_text("Invalid expression")).to_be_visible()
    dialog.get_by_label("Expression").fill("hostname == 'only-here.example.com'")
    dialog.get_by_role("button", name="Test expression").click()
    expect(dialog.get_by_text(re.compile(r"Matches 0 of \d+ Macs"))).to_be_visible()
    dialog.get_by_role("button", name="Create tag").click()
    expect(page.get_by_role("heading", name="Browser made", level=1)).to_be_visible()

    choose_machine(page, "Add a Mac", name)
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("manual")
    with deployment.api() as api:
        rule(api, "tag:Browser made", "BLOCKLIST")
    member.sync()
    assert member.rules["BINARY", TARGET][0] == "BLOCKLIST"

    row.get_by_role("button", name="Remove").click()
    expect(row).to_be_hidden()
    member.sync()
    assert ("BINARY", TARGET) not in member.rules

    page.get_by_role("button", name="Remove").click()
    dialog = form_dialog(page)
    expect(dialog).to_contain_text("1 rule and 0 settings of this tag are removed")
    dialog.get_by_role("button", name="Remove tag").click()
    expect(page.get_by_role("heading", name="Tags", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="Browser made")).to_have_count(0)
    assert visit.complaints == []


def test_the_order_is_changed_by_keyboard_after_its_effect_was_shown(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage, tags: Callable[..., dict[str, Any]]
) -> None:
    both = mac(hostname="two-tags.example.com")
    both.sync()
    low, high = tags("order-low"), tags("order-high")
    with deployment.api() as api:
        rule(api, low["layer"], "BLOCKLIST")
        rule(api, high["layer"], "ALLOWLIST")
        for tag in (low, high):
            api.put(f"/api/v1/tags/{tag['id']}/members/{both.machine_id}").raise_for_status()
    both.sync()
    assert both.rules["BINARY", TARGET][0] == "ALLOWLIST"

    visit = logged_in("/tags")
    page = visit.page
    up = page.get_by_role("button", name="Move order-low up")
    up.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 Mac has more than one of the moved tags.")).to_be_visible()
    expect(page.get_by_text("Rules or settings can change on 1.")).to_be_visible()
    expect(page.get_by_role("button", name="Move order-low down")).to_be_focused()
    page.get_by_role("button", name="Discard order").click()
    expect(page.get_by_role("button", name="Apply order")).to_be_hidden()
    both.sync()
    assert both.rules["BINARY", TARGET][0] == "ALLOWLIST"

    up.click()
    page.get_by_role("button", name="Apply order").click()
    expect(page.get_by_role("button", name="Apply order")).to_be_hidden()
    first = page.get_by_role("row").nth(1)
    expect(first).to_contain_text("order-low")
    both.sync()
    assert both.rules["BINARY", TARGET][0] == "BLOCKLIST"
    assert visit.complaints == []


def test_a_wrong_name_is_said_at_the_field(logged_in: OpenPage, tags: Callable[..., dict[str, Any]]) -> None:
    tags("taken")
    page = logged_in("/tags").page
    page.get_by_role("button", name="New tag").click()
    dialog = form_dialog(page)
    dialog.get_by_role("button", name="Create tag").click()
    expect(dialog.get_by_label("Name")).to_be_focused()
    expect(dialog.get_by_text("Enter a name.")).to_be_visible()
    dialog.get_by_label("Name").fill("TAKEN")
    dialog.get_by_role("button", name="Create tag").click()
    expect(dialog.get_by_text("There is already a tag with this name")).to_be_visible()
