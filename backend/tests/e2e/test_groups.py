"""Groups and roles in the browser: what a group may do, its members may do, and why."""

from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Deployment, OpenPage, form_dialog, submit
from tests.e2e.layout import fits
from tests.e2e.test_people import row_of
from tests.e2e.test_roles import enter, made, team, user


def test_a_member_may_what_the_group_may_for_its_tag(open_page: OpenPage, deployment: Deployment) -> None:
    tag, other, group = (f"{word}-{uuid4().hex[:6]}" for word in ("lab", "office", "desk"))
    here, elsewhere = team(), team()
    with deployment.api() as api:
        boss, member = user(api, {"role": "admin"}), user(api)
        for name, identifier in ((tag, here), (other, elsewhere)):
            made(api, "tags", name=name)
            made(
                api,
                "rules",
                rule_type="TEAMID",
                identifier=identifier,
                policy="BLOCKLIST",
                layer=f"tag:{name}",
            )
    admin = enter(open_page, boss, "phone", "Overview")
    page = admin.page
    page.goto("/people")
    page.get_by_role("navigation", name="People").get_by_role("link", name="Groups").click()
    page.get_by_role("button", name="New group").click()
    dialog = form_dialog(page)
    dialog.get_by_role("button", name="Create group").click()
    expect(dialog.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Name").fill(group)
    dialog.get_by_role("button", name="Add role").click()
    dialog.get_by_label("Role 1", exact=True).select_option("operator")
    dialog.get_by_label("Where role 1 holds").select_option(tag)
    fits(page)
    submit(dialog, "Create group")
    page.goto(f"/people/groups?q={group}")
    expect(row_of(page, group)).to_contain_text(f"Operator for {tag}")
    row_of(page, group).get_by_role("button", name="Members").click()
    drawer = page.get_by_role("dialog", name=f"Members of {group}")
    expect(drawer.get_by_text("No members")).to_be_visible()
    drawer.get_by_label("Add a user").fill(member)
    page.get_by_role("option", name=member).click()
    expect(row_of(page, member)).to_contain_text("Enabled")
    fits(page)

    theirs = enter(open_page, member, "phone", "Machines")
    theirs.page.goto("/rules")
    expect(theirs.page.get_by_text(here[:8]).first).to_be_visible()
    expect(theirs.page.get_by_text(elsewhere[:8])).to_have_count(0)

    page.goto(f"/people?q={member}")
    row_of(page, member).get_by_role("button", name="Permissions").click()
    drawer = page.get_by_role("dialog", name=f"What {member} may do")
    expect(drawer.get_by_text("rule:write", exact=True)).to_be_visible()
    expect(drawer).to_contain_text(f"only for {tag}")
    expect(drawer).to_contain_text(group)
    fits(page)
    drawer.get_by_text(f"What {member} may not do").click()
    expect(drawer.get_by_text("user:write", exact=True)).to_be_visible()
    fits(page)
    assert (admin.complaints, theirs.complaints) == ([], [])


def test_a_role_of_ones_own_is_made_given_and_kept_while_it_is_used(
    open_page: OpenPage, deployment: Deployment
) -> None:
    role = f"Help desk {uuid4().hex[:6]}"
    with deployment.api() as api:
        boss, helper = user(api, {"role": "admin"}), user(api, {"role": "viewer"})
    visit = enter(open_page, boss, "phone", "Overview")
    page = visit.page
    page.goto("/people/roles")
    expect(row_of(page, "looks up programs")).to_be_visible()
    fits(page)
    page.get_by_role("button", name="New role").click()
    dialog = form_dialog(page)
    dialog.get_by_label("Name").fill(role)
    dialog.get_by_label("machine:read").check()
    fits(page)
    submit(dialog, "Create role")
    expect(row_of(page, role)).to_contain_text("machine:read")
    page.goto(f"/people?q={helper}")
    row_of(page, helper).get_by_role("button", name="Edit").click()
    dialog = form_dialog(page)
    dialog.get_by_label("Role 1", exact=True).select_option(role)
    submit(dialog, "Save")
    expect(row_of(page, helper)).to_contain_text(role)
    page.goto("/people/roles")
    row_of(page, role).get_by_role("button", name="Remove").click()
    question = form_dialog(page)
    question.get_by_role("button", name="Remove role").click()
    expect(question).to_contain_text(helper)
    fits(page)


@pytest.mark.parametrize(("kind", "path"), [("groups", "/people/groups"), ("roles", "/people/roles")])
def test_what_someone_else_saved_is_shown_beside_ones_own_changes(
    open_page: OpenPage, deployment: Deployment, kind: str, path: str
) -> None:
    name = f"Desk {uuid4().hex[:6]}"
    extra = {"permissions": ["machine:read"]} if kind == "roles" else {"source": "local"}
    with deployment.api() as api:
        boss = user(api, {"role": "admin"})
        stored = made(api, kind, name=name, description="as it was", **extra)
    visit = enter(open_page, boss, "desktop", "Overview")
    page = visit.page
    page.goto(path)
    row_of(page, name).get_by_role("button", name="Edit").click()
    dialog = form_dialog(page)
    address = f"/api/v1/{kind}/{stored['id']}"
    with deployment.api() as api:
        version = {"If-Match": stored["etag"]}
        api.patch(address, json={"description": "theirs"}, headers=version).raise_for_status()
    dialog.get_by_label("Description").fill("mine")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Nothing you entered is lost")
    expect(dialog.get_by_label("Description", exact=False).first).to_have_value("mine")
    dialog.get_by_role("group", name="Description").get_by_label("Yours: mine").check()
    submit(dialog, "Save")
    with deployment.api() as api:
        items = api.get(f"/api/v1/{kind}").raise_for_status().json()["items"]
    assert [item["description"] for item in items if item["name"] == name] == ["mine"]
    assert [text for text in visit.complaints if "status of 412" not in text] == []
