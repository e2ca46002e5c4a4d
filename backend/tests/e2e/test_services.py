"""The page *Status* shows what santa-supervise says about the services of the running deployment."""

import json

from playwright.sync_api import expect

from tests.e2e.axe import violations
from tests.e2e.conftest import Deployment, OpenPage

SAME = ("name", "instance", "kind", "state", "pid", "restarts", "last_exit", "critical")


def test_the_services_are_those_of_santa_supervise(deployment: Deployment) -> None:
    with deployment.api() as client:
        shown = client.get("/api/v1/status").json()["processes"]
    said = json.loads(deployment.supervise("status", "--json"))
    assert shown["source"] == "supervisor", shown["problem"]
    assert shown["supervisor"]["version"] == said["supervisor"]["version"]
    services = [{key: one[key] for key in SAME} for one in shown["services"]]
    assert services == [{key: one[key] for key in SAME} for one in said["services"]]
    assert {"backend", "proxy"} <= {one["name"] for one in services}


def test_the_page_has_a_row_for_each_service(logged_in: OpenPage) -> None:
    visit = logged_in("/status")
    services = visit.page.get_by_role("region", name="Services")
    row = services.get_by_role("row").filter(has=visit.page.get_by_role("cell", name="proxy", exact=True))
    expect(row.get_by_role("cell", name="ready", exact=True)).to_be_visible()
    expect(services.get_by_text("santa-supervise")).to_be_visible()
    assert violations(visit.page) == []
    assert visit.complaints == []
