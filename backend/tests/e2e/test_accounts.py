"""The own password, and the reasons that people give, in the browser."""

import time

from playwright.sync_api import expect

from tests.e2e.axe import violations
from tests.e2e.conftest import Deployment, OpenPage, form_dialog, submit
from tests.e2e.test_roles import PASSWORD, enter, made, team, user
from tests.support import secrets

NEXT = "another battery staple horse"


def test_a_user_changes_the_own_password_and_other_sessions_end(
    open_page: OpenPage, deployment: Deployment
) -> None:
    secrets.remember(NEXT)
    with deployment.api() as api:
        name = user(api, {"role": "viewer"})
    page, other = (enter(open_page, name, "desktop", "Overview").page for _ in range(2))
    page.get_by_role("button", name="Change password").click()
    dialog = form_dialog(page)
    assert violations(page) == []
    dialog.get_by_label("Current password").fill("not the password")
    dialog.get_by_label("New password", exact=True).fill(NEXT)
    dialog.get_by_label("New password again").fill("something else")
    dialog.get_by_role("button", name="Change password").click()
    expect(dialog.get_by_text("The passwords do not match.")).to_be_visible()
    dialog.get_by_label("New password again").fill(NEXT)
    dialog.get_by_role("button", name="Change password").click()
    expect(dialog.get_by_label("Current password")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Current password").fill(PASSWORD)
    dialog.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Password changed. 1 other session was ended.")).to_be_visible()
    expect(other.get_by_role("heading", name="Log in")).to_be_visible()
    page.goto("/machines")
    expect(page.get_by_role("heading", name="Machines", level=1)).to_be_visible()
    secrets.remember(*(str(cookie["value"]) for cookie in page.context.cookies()))


def test_the_reason_of_a_removal_is_in_the_audit_log(deployment: Deployment, logged_in: OpenPage) -> None:
    why, identifier = f"ticket {time.time_ns()}", team()
    with deployment.api() as api:
        made(api, "rules", rule_type="TEAMID", identifier=identifier, policy="BLOCKLIST")
    visit = logged_in(f"/rules?q={identifier}")
    page = visit.page
    row = page.get_by_role("row").filter(has_text=identifier)
    row.get_by_role("button", name="Remove").click()
    dialog = form_dialog(page)
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_label("Reason").fill(why)
    dialog.get_by_role("button", name="Remove rule").click()
    expect(row).to_be_hidden()
    page.goto("/audit")
    expect(page.get_by_text(why)).to_be_visible()
    assert visit.complaints == []


def test_an_enrollment_is_changed_by_two_people(deployment: Deployment, logged_in: OpenPage) -> None:
    label = f"Terms {time.time_ns()}"
    with deployment.api() as api:
        made_one = made(api, "enrollments", label=label)["enrollment"]
        path = f"/api/v1/enrollments/{made_one['id']}"
        page = logged_in("/enrollments").page
        row = page.get_by_role("row").filter(has_text=label)
        row.get_by_role("button", name="Edit").click()
        dialog = form_dialog(page)
        dialog.get_by_label("Take retired Macs back").check()
        api.patch(path, json={"quota": 30}).raise_for_status()
        dialog.get_by_role("button", name="Save enrollment").click()
        expect(dialog.get_by_role("group", name="Machine limit")).to_contain_text("30")
        assert violations(page) == []
        submit(dialog, "Save enrollment")
        expect(row).to_contain_text("of 30")
        changed = api.get(path).json()
        assert (changed["quota"], changed["reenroll_retired"]) == (30, True)
        api.post(f"{path}/revoke").raise_for_status()
