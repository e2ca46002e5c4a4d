"""The log of changes in the browser: what changed, and taking it back."""

import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import Deployment, OpenPage, form_dialog
from tests.e2e.layout import WIDTHS
from tests.e2e.test_roles import enter, made, team, user


def rule_of(api: httpx.Client, identifier: str) -> dict[str, Any]:
    """Return the only live rule for an identifier."""
    (rule,) = api.get("/api/v1/rules", params={"q": identifier}).json()["items"]
    assert isinstance(rule, dict)
    return rule


def change(api: httpx.Client, identifier: str, policy: str, reason: str = "") -> int:
    """Give a rule another policy; return the number of the change."""
    rule = rule_of(api, identifier)
    body = {"policy": policy, "reason": reason}
    answer = api.patch(f"/api/v1/rules/{rule['id']}", json=body, headers={"If-Match": rule["etag"]})
    answer.raise_for_status()
    seq: int = answer.json()["seq"]
    return seq


def fits(page: Page) -> bool:
    """Whether the page is not wider than its window."""
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return not page.evaluate(wider)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_change_is_found_shown_and_reverted(
    deployment: Deployment, logged_in: OpenPage, width: str
) -> None:
    identifier, reason = team(), f"ticket {uuid4().hex[:8]}"
    with deployment.api() as api:
        made(api, "rules", rule_type="TEAMID", identifier=identifier, policy="BLOCKLIST")
        seq = change(api, identifier, "ALLOWLIST", reason)
    visit = logged_in("/changes", viewport=WIDTHS[width])
    page = visit.page
    page.get_by_label("Search changes").fill(reason)
    expect(page).to_have_url(re.compile(r"\?q=ticket"))
    expect(page.get_by_role("row").filter(has_text=reason)).to_have_count(1)
    expect(page.get_by_role("button", name="Revert")).to_have_count(1)
    page.get_by_role("link", name="Rule changed: Every machine").click()
    expect(page.get_by_role("heading", name=f"Change {seq}", level=1)).to_be_visible()
    row = page.get_by_role("row").filter(has_text=identifier)
    expect(row).to_contain_text("Block")
    expect(row).to_contain_text("Allow")
    assert fits(page)
    assert violations(page) == []
    page.get_by_role("button", name="Revert").click()
    dialog = form_dialog(page)
    expect(dialog.get_by_text("1 rule gets its earlier content.")).to_be_visible()
    expect(dialog).to_contain_text("Allow → Block")
    assert violations(page) == []
    dialog.get_by_label("Reason").fill("it was a mistake")
    dialog.get_by_role("button", name="Revert", exact=True).click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("heading", name=f"Change {seq} reverted")).to_be_visible()
    expect(page.get_by_text("it was a mistake")).to_be_visible()
    with deployment.api() as api:
        assert rule_of(api, identifier)["policy"] == "BLOCKLIST"
    assert visit.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_what_has_changed_since_is_named_and_stays(
    deployment: Deployment, logged_in: OpenPage, width: str
) -> None:
    kept, other = team(), team()
    with deployment.api() as api:
        lines = [f"global,TEAMID,{name},BLOCKLIST" for name in (kept, other)]
        content = "\n".join(["layer,rule_type,identifier,policy", *lines])
        body = {"format": "csv", "content": content, "dry_run": False}
        seq = api.post("/api/v1/rules/import", json=body).json()["policy_seq"]
        later = change(api, other, "ALLOWLIST")
    visit = logged_in(f"/changes/{seq}", viewport=WIDTHS[width])
    page = visit.page
    page.get_by_role("button", name="Revert").click()
    dialog = form_dialog(page)
    expect(dialog.get_by_text("1 conflict: these stay as they are")).to_be_visible()
    expect(dialog.get_by_role("link", name=f"change {later}")).to_be_visible()
    assert violations(page) == []
    dialog.get_by_role("button", name="Revert the rest").click()
    expect(dialog).to_be_hidden()
    with deployment.api() as api:
        assert rule_of(api, other)["policy"] == "ALLOWLIST"
        assert api.get("/api/v1/rules", params={"q": kept}).json()["items"] == []
    assert visit.complaints == []


def test_a_viewer_sees_changes_and_is_offered_no_revert(open_page: OpenPage, deployment: Deployment) -> None:
    identifier = team()
    with deployment.api() as api:
        name = user(api, {"role": "viewer"})
        seq = made(api, "rules", rule_type="TEAMID", identifier=identifier, policy="BLOCKLIST")["seq"]
    visit = enter(open_page, name, "desktop", "Overview")
    page = visit.page
    page.goto(f"/changes?q={identifier}")
    page.get_by_role("link", name="Rule added: Every machine").click()
    expect(page.get_by_role("heading", name=f"Change {seq}", level=1)).to_be_visible()
    expect(page.get_by_text(identifier).first).to_be_visible()
    expect(page.get_by_role("button", name="Revert")).to_have_count(0)
    assert visit.complaints == []
