"""A Mac syncs through the public port; rules from the browser reach it, and blocked executions appear."""

import re
import time
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Deployment, OpenPage, form_dialog, submit
from tests.support.santa_client import SimulatedMac, SyncError

NewMac = Callable[..., SimulatedMac]
TEAM = "EQHXZ8M8AV"


def rules_of_all_macs(api: httpx.Client) -> set[tuple[str, str]]:
    """Return the type and identifier of every rule of the global layer, page by page."""
    found: set[tuple[str, str]] = set()
    cursor: str | None = None
    while True:
        asked: dict[str, str | int] = {"layer": "global", "limit": 7}
        if cursor:
            asked["cursor"] = cursor
        page = api.get("/api/v1/rules", params=asked).json()
        found |= {(rule["rule_type"], rule["identifier"]) for rule in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_a_new_mac_holds_exactly_the_rules_after_its_first_sync(deployment: Deployment, mac: NewMac) -> None:
    new = mac(hostname="first.example.com")
    result = new.sync()
    assert result.kind in {"CLEAN", "CLEAN_ALL"}
    with deployment.api() as api:
        assert set(new.rules) == rules_of_all_macs(api)
        shown = api.get(f"/api/v1/machines/{new.machine_id}").json()
        assert shown["sync_state"] == "in_sync"
        assert shown["hostname"] == "first.example.com"
    assert new.sync().received == 0
    assert new.sync().kind == "NORMAL"


@pytest.mark.parametrize("encoding", ["deflate", "gzip", "none"])
def test_every_encoding_of_the_agent_passes_the_proxy(mac: NewMac, encoding: str) -> None:
    new = mac(encoding=encoding)
    new.sync()
    assert new.rules


def test_a_wrong_enrollment_secret_is_refused(deployment: Deployment) -> None:
    stranger = SimulatedMac(deployment.url, secret="wrong")
    with pytest.raises(SyncError) as refusal:
        stranger.sync()
    assert refusal.value.status == 401
    stranger.close()


def test_a_rule_made_and_removed_in_the_browser_reaches_the_mac(mac: NewMac, logged_in: OpenPage) -> None:
    known = mac()
    known.sync()
    page = logged_in("/rules").page
    page.get_by_role("button", name="New rule").click()
    dialog = form_dialog(page)
    dialog.get_by_label("Type").select_option(label="Team ID")
    dialog.get_by_label("Policy").select_option("BLOCKLIST")
    dialog.get_by_label("Identifier").fill(TEAM.lower())
    dialog.get_by_label("Comment").fill("from the end-to-end test")
    submit(dialog, "Create rule")
    row = page.get_by_role("row").filter(has_text=TEAM)
    expect(row).to_be_visible()

    result = known.sync()
    # At least: a sync may add removals, so that its number of rules is its own.
    assert result.kind == "NORMAL"
    assert result.received >= 1
    assert known.rules["TEAMID", TEAM][0] == "BLOCKLIST"

    row.get_by_role("button", name="Remove").click()
    form_dialog(page).get_by_role("button", name="Remove rule").click()
    expect(row).to_be_hidden()
    removed = known.sync()
    assert (removed.kind, removed.received >= 1) == ("NORMAL", True)
    assert ("TEAMID", TEAM) not in known.rules


def test_a_mistaken_rule_is_explained_in_the_form(logged_in: OpenPage) -> None:
    page = logged_in("/rules").page
    page.get_by_role("button", name="New rule").click()
    dialog = form_dialog(page)
    dialog.get_by_label("Type").select_option(label="Team ID")
    dialog.get_by_label("Identifier").fill("nonsense")
    dialog.get_by_role("button", name="Create rule").click()
    expect(dialog.get_by_label("Identifier")).to_have_attribute("aria-invalid", "true")
    expect(dialog).to_be_visible()


def test_a_blocked_execution_appears_in_open_pages_without_a_reload(mac: NewMac, logged_in: OpenPage) -> None:
    known = mac(hostname="blocked.example.com")
    known.sync()
    events = logged_in("/events").page
    overview = logged_in("/").page
    name = f"Unwanted-{time.time_ns()}"
    known.block(name=name, when=time.time())
    expect(events.get_by_role("button", name=re.compile(name)).first).to_be_visible()
    expect(overview.get_by_text(name).first).to_be_visible()


def test_machines_turn_in_sync_before_the_eyes(mac: NewMac, logged_in: OpenPage) -> None:
    page = logged_in("/machines?q=turning").page
    new = mac(hostname="turning.example.com")
    new.sync()
    row = page.get_by_role("row").filter(has_text="turning.example.com")
    expect(row).to_contain_text(re.compile("in sync", re.IGNORECASE))
