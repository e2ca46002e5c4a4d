"""The rule form in the browser: layers, locks, times, masks and the lock-out check."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Deployment, OpenPage, form_dialog, submit
from tests.support.santa_client import SimulatedMac

NewMac = Callable[..., SimulatedMac]
TARGET = "c0ffee" * 10 + "beef"


@pytest.fixture(autouse=True)
def no_rule_is_left(deployment: Deployment) -> Iterator[None]:
    """Rules for the target are removed at the end, also after a failure."""
    yield
    with deployment.api() as api:
        for rule in api.get("/api/v1/rules", params={"q": TARGET}).json()["items"]:
            api.delete(f"/api/v1/rules/{rule['id']}").raise_for_status()


def new_rule(page: Page, identifier: str) -> Locator:
    page.get_by_role("button", name="New rule").click()
    dialog = form_dialog(page)
    dialog.get_by_label("Identifier").fill(identifier)
    return dialog


def test_a_rule_for_one_machine_is_found_filtered_and_edited(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    name = f"scoped-{time.time_ns()}"
    one, other = mac(hostname=f"{name}.example.com"), mac()
    one.sync(), other.sync()
    visit = logged_in("/rules")
    page = visit.page
    dialog = new_rule(page, TARGET)
    dialog.get_by_label("Applies to").select_option("machine")
    dialog.get_by_role("button", name="Create rule").click()
    expect(dialog.get_by_text("Choose a machine.")).to_be_visible()
    dialog.get_by_label("Machine", exact=True).fill(name)
    expect(page.locator("[role=option]").filter(has_text=name)).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Machine", exact=True)).to_have_value(re.compile(name))
    dialog.get_by_label("Locked").check()
    dialog.get_by_label("Expires").fill("2098-05-04T12:30")
    submit(dialog, "Create rule")
    one.sync(), other.sync()
    assert one.rules["BINARY", TARGET][0] == "BLOCKLIST"
    assert ("BINARY", TARGET) not in other.rules

    page.get_by_label("Show layer").select_option(f"machine:{one.machine_id}")
    rows = page.get_by_role("row").filter(has_text="Machine")
    expect(page.get_by_role("row")).to_have_count(2)
    expect(rows.first).to_contain_text("locked")
    expect(rows.first).to_contain_text("expires")
    page.get_by_role("button", name="Edit").click()
    dialog = form_dialog(page)
    expect(dialog.get_by_label("Locked")).to_be_checked()
    expect(dialog.get_by_label("Expires")).to_have_value("2098-05-04T12:30")
    dialog.get_by_label("Policy").select_option("ALLOWLIST")
    submit(dialog, "Save rule")
    with deployment.api() as api:
        rule = api.get("/api/v1/rules", params={"q": TARGET}).json()["items"][0]
    assert (rule["locked"], rule["policy"], rule["layer"]) == (
        True,
        "ALLOWLIST",
        f"machine:{one.machine_id}",
    )
    assert rule["expires_at"].startswith("2098-05-04T")
    assert visit.complaints == []


def test_a_mask_is_explained_and_takes_the_rule_away(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    user = f"mask{time.time_ns()}"
    masked = mac(primary_user=user)
    with deployment.api() as api:
        body = {"rule_type": "BINARY", "identifier": TARGET, "policy": "BLOCKLIST"}
        api.post("/api/v1/rules", json=body).raise_for_status()
    masked.sync()
    assert ("BINARY", TARGET) in masked.rules
    page = logged_in("/rules").page
    dialog = new_rule(page, TARGET)
    expect(dialog.locator("option[value=NONE]")).to_have_count(0)
    dialog.get_by_label("Applies to").select_option("user")
    dialog.get_by_label("User", exact=True).fill(user)
    dialog.get_by_label("Policy").select_option("NONE")
    expect(dialog.get_by_text("Masks the rules of lower layers")).to_be_visible()
    submit(dialog, "Create rule")
    masked.sync()
    assert ("BINARY", TARGET) not in masked.rules


def test_the_guard_speaks_at_the_field(logged_in: OpenPage) -> None:
    page = logged_in("/rules").page
    dialog = new_rule(page, "")
    dialog.get_by_label("Type").select_option(label="Team ID")
    dialog.get_by_label("Identifier").fill("ZMCG7MLDV9")
    expect(dialog.get_by_label("Save anyway")).to_have_count(0)
    dialog.get_by_role("button", name="Create rule").click()
    expect(dialog.get_by_label("Identifier")).to_be_focused()
    expect(dialog.get_by_text("Santa (this agent and its helpers) would be blocked on")).to_be_visible()
    expect(dialog.get_by_label("Save anyway")).not_to_be_checked()


def test_the_active_suggestion_stays_in_view_and_all_are_counted(logged_in: OpenPage) -> None:
    page = logged_in("/rules", viewport={"width": 390, "height": 844}).page
    page.get_by_role("button", name="New rule").click()
    form = form_dialog(page)
    form.get_by_label("Applies to").select_option("machine")
    machine = form.get_by_label("Machine", exact=True)
    machine.focus()
    suggestions = form.get_by_role("listbox").get_by_role("option")
    expect(suggestions).to_have_count(8)
    expect(form.get_by_role("status").filter(has_text="8 suggestions")).to_have_count(1)
    first, last = suggestions.first, suggestions.last
    machine.press("ArrowUp")
    expect(last).to_have_attribute("aria-selected", "true")
    expect(last).to_be_in_viewport(ratio=0.9)
    expect(first).not_to_be_in_viewport()
    machine.press("ArrowDown")
    expect(first).to_have_attribute("aria-selected", "true")
    expect(first).to_be_in_viewport(ratio=0.9)


def test_two_people_edit_the_same_rule_and_neither_loses_anything(
    deployment: Deployment, logged_in: OpenPage
) -> None:
    with deployment.api() as api:
        body = {"rule_type": "BINARY", "identifier": TARGET, "policy": "ALLOWLIST", "comment": "as it was"}
        rule = api.post("/api/v1/rules", json=body).raise_for_status().json()["id"]
    one, other = (logged_in(f"/rules?q={TARGET}") for _ in range(2))
    forms = []
    for visit in (one, other):
        visit.page.get_by_role("button", name="Edit").click()
        forms.append(visit.page.get_by_role("dialog", name="Edit rule"))
    forms[0].get_by_label("Comment").fill("the first one's")
    forms[0].get_by_label("Locked").check()
    submit(forms[0], "Save rule")
    forms[1].get_by_label("Comment").fill("the second one's")
    forms[1].get_by_role("button", name="Save rule").click()
    expect(forms[1].get_by_role("alert")).to_contain_text("Nothing you entered is lost")
    expect(forms[1].get_by_label("Comment")).to_have_value("the second one's")
    expect(forms[1].get_by_label("Locked", exact=True)).to_be_checked()
    comment = forms[1].get_by_role("group", name="Comment")
    expect(comment).to_contain_text("Was: as it was")
    expect(comment.get_by_label("Yours: the second one's")).to_be_checked()
    comment.get_by_label("Theirs: the first one's").check()
    expect(forms[1].get_by_label("Comment")).to_have_value("the first one's")
    comment.get_by_label("Yours: the second one's").check()
    submit(forms[1], "Save rule")
    with deployment.api() as api:
        stored = api.get(f"/api/v1/rules/{rule}").json()
    assert (stored["comment"], stored["locked"]) == ("the second one's", True)
    assert one.complaints == []
    assert [text for text in other.complaints if "status of 412" not in text] == []
