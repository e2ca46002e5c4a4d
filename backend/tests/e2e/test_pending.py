"""The checks of `pending.py`: a test that does not wait for a change fails, however fast the server is."""

from functools import partial
from uuid import uuid4

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.conftest import Deployment, OpenPage, form_dialog

UNANSWERED = r"comes before the answer to POST .+/api/v1/tags: "


def test_nobody_leaves_a_page_or_asks_the_server_during_a_change(
    deployment: Deployment, logged_in: OpenPage
) -> None:
    page = logged_in("/tags").page
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "POST":
            held.append(route)
        else:
            route.fallback()

    page.route("**/api/v1/tags", hold)
    page.get_by_role("button", name="New tag").click()
    dialog = form_dialog(page)
    name = f"held-{uuid4().hex[:8]}"
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_role("button", name="Create tag").click()
    for leave in (partial(page.goto, "/rules"), page.reload, partial(read, deployment)):
        with pytest.raises(pytest.fail.Exception, match=UNANSWERED):
            leave()
    (route,) = held
    route.continue_()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    page.goto("/tags")
    with deployment.api() as api:
        (made,) = [tag["id"] for tag in api.get("/api/v1/tags").json() if tag["name"] == name]
        api.delete(f"/api/v1/tags/{made}").raise_for_status()


def read(deployment: Deployment) -> None:
    """Ask the server for something."""
    with deployment.api():
        pass
