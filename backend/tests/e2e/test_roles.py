"""What users without all permissions see, and what they are not offered."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Deployment, OpenPage, Visit, form_dialog, submit
from tests.e2e.layout import WIDTHS, fits
from tests.support import secrets
from tests.support.santa_client import SimulatedMac

PASSWORD = "correct horse battery staple"


def enter(open_page: OpenPage, name: str, width: str, heading: str) -> Visit:
    """Log a user in, and wait for the first page. The form itself has tests of its own: this saves a page."""
    visit = open_page("/favicon.svg", viewport=WIDTHS[width])
    page = visit.page
    body = {"username": name, "password": PASSWORD}
    assert page.request.post("/api/v1/auth/login", data=body, headers={"Origin": origin(page)}).ok
    page.goto("/")
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    secrets.remember(PASSWORD, *(str(cookie["value"]) for cookie in page.context.cookies()))
    return visit


def origin(page: Page) -> str:
    """Return where a page is from."""
    address = urlsplit(page.url)
    return f"{address.scheme}://{address.netloc}"


def user(api: httpx.Client, *roles: dict[str, str]) -> str:
    """Create a user; return the name."""
    name = f"user-{uuid4().hex[:8]}"
    body = {"username": name, "password": PASSWORD, "roles": list(roles)}
    api.post("/api/v1/users", json=body).raise_for_status()
    return name


def made(api: httpx.Client, path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Create something; return it."""
    response = api.post(f"/api/v1/{path}", json=body)
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def team() -> str:
    """Return a team id of its own."""
    return uuid4().hex[:10].upper()


def links(page: Page, width: str) -> list[str]:
    """Return what the navigation offers."""
    if width == "phone":
        page.get_by_role("button", name="Menu").click()
    found = page.get_by_role("navigation", name="Main").get_by_role("link")
    expect(found.first).to_be_visible()
    names = [text.strip() for text in found.all_inner_texts()]
    if width == "phone":
        page.get_by_role("button", name="Menu").click()
    return names


def test_a_viewer_sees_everything_and_is_offered_no_change(
    open_page: OpenPage, deployment: Deployment
) -> None:
    with deployment.api() as api:
        name = user(api, {"role": "viewer"})
        identifier = team()
        made(api, "rules", rule_type="TEAMID", identifier=identifier, policy="BLOCKLIST")
    visit = enter(open_page, name, "phone", "Overview")
    page = visit.page
    assert links(page, "phone") == [
        "Overview",
        "Machines",
        "Rules",
        "Tags",
        "Changes",
        "Events",
        "Programs",
        "Essentials",
        "Settings",
    ]
    page.goto(f"/rules?q={identifier}")
    expect(page.get_by_text(identifier)).to_be_visible()
    expect(page.get_by_role("button", name="New rule")).to_have_count(0)
    expect(page.get_by_role("button", name="Edit")).to_have_count(0)
    fits(page)
    page.goto("/settings")
    expect(page.get_by_text("Your role does not include changing these settings.").first).to_be_visible()
    expect(page.get_by_role("button", name="Save settings")).to_have_count(0)
    page.goto("/enrollments")
    expect(page.get_by_text("Your role does not include enrollments")).to_be_visible()
    fits(page)
    assert visit.complaints == []


def test_an_operator_for_a_tag_sees_and_changes_only_what_has_the_tag(
    open_page: OpenPage, deployment: Deployment, mac: Callable[..., SimulatedMac]
) -> None:
    tag, own, other = (
        f"lab-{uuid4().hex[:8]}",
        mac(hostname="inside.example"),
        mac(hostname="outside.example"),
    )
    for one in (own, other):
        one.sync()
    identifier, everywhere = team(), team()
    with deployment.api() as api:
        number = made(api, "tags", name=tag)["id"]
        api.put(f"/api/v1/tags/{number}/members/{own.machine_id}").raise_for_status()
        rule = {"rule_type": "TEAMID", "policy": "BLOCKLIST"}
        made(api, "rules", **rule, identifier=identifier, layer=f"tag:{tag}")
        made(api, "rules", **rule, identifier=everywhere)
        name = user(api, {"role": "operator", "tag": tag})
    visit = enter(open_page, name, "phone", "Machines")
    page = visit.page
    assert links(page, "phone") == ["Machines", "Rules", "Tags", "Changes", "Events", "Settings"]
    expect(page.get_by_text("inside.example")).to_be_visible()
    expect(page.get_by_text("outside.example")).to_have_count(0)
    page.goto("/rules")
    expect(page.get_by_text(identifier)).to_be_visible()
    expect(page.get_by_text(everywhere)).to_have_count(0)
    page.get_by_role("button", name="New rule").click()
    dialog = form_dialog(page)
    expect(dialog.get_by_label("Applies to").get_by_role("option")).to_have_text(["A tag", "One machine"])
    expect(dialog.get_by_label("Tag", exact=True)).to_have_value(tag)
    dialog.get_by_label("Type").select_option("TEAMID")
    another = team()
    dialog.get_by_label("Identifier").fill(another)
    submit(dialog, "Create rule")
    expect(page.get_by_text(another)).to_be_visible()
    expect(page.get_by_role("button", name="Edit")).to_have_count(2)
    fits(page)
    page.goto("/settings")
    expect(page.get_by_label("Tag", exact=True)).to_have_value(tag)
    assert visit.complaints == []


def test_only_rules_in_reach_of_the_role_are_offered_for_a_change(
    open_page: OpenPage, deployment: Deployment, mac: Callable[..., SimulatedMac]
) -> None:
    tag, one, other = f"lab-{uuid4().hex[:8]}", mac(), mac()
    one.sync()
    other.sync()
    mark = f"for {tag}"
    with deployment.api() as api:
        number = made(api, "tags", name=tag)["id"]
        api.put(f"/api/v1/tags/{number}/members/{one.machine_id}").raise_for_status()
        for layer in ("global", f"tag:{tag}", f"machine:{one.machine_id}", f"machine:{other.machine_id}"):
            body = {"rule_type": "TEAMID", "policy": "BLOCKLIST", "comment": mark, "layer": layer}
            made(api, "rules", **body, identifier=team())
        name = user(api, {"role": "viewer"}, {"role": "operator", "tag": tag})
    visit = enter(open_page, name, "desktop", "Overview")
    page = visit.page
    page.goto(f"/rules?q={mark}")
    rows = page.get_by_role("row").filter(has_text=mark)
    expect(rows).to_have_count(4)
    offered = rows.filter(has=page.get_by_role("button", name="Edit"))
    expect(offered).to_have_count(2)
    expect(offered.filter(has_text=f"Tag {tag}")).to_have_count(1)
    for machine, buttons in ((one, 1), (other, 0)):
        page.goto(f"/machines/{machine.machine_id}")
        expect(page.get_by_role("heading", name="Settings in force")).to_be_visible()
        expect(page.get_by_role("button", name="Clean sync")).to_have_count(buttons)
    assert visit.complaints == []


def test_a_role_that_is_taken_away_is_noticed_by_an_open_page(
    open_page: OpenPage, deployment: Deployment
) -> None:
    with deployment.api() as api:
        name = user(api, {"role": "operator"})
        number = next(one["id"] for one in api.get("/api/v1/users", params={"q": name}).json()["items"])
        page = enter(open_page, name, "desktop", "Overview").page
        expect(page.get_by_role("link", name="Enrollments")).to_be_visible()
        taken = api.patch(f"/api/v1/users/{number}", json={"roles": [{"role": "requester"}]})
        taken.raise_for_status()
    expect(page.get_by_role("link", name="Enrollments")).to_have_count(0)
    expect(page.get_by_role("link", name="Programs")).to_be_visible()
