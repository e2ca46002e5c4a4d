"""The settings of all machines in the browser: locks, and the question before Lockdown."""

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Deployment, OpenPage
from tests.support.santa_client import SimulatedMac

NewMac = Callable[..., SimulatedMac]
GLOBAL = {"layer": "global"}


@pytest.fixture(autouse=True)
def as_before(deployment: Deployment) -> Iterator[None]:
    """Put the global layer back as it was."""
    with deployment.api() as api:
        before = api.get("/api/v1/settings/layer", params=GLOBAL).raise_for_status().json()
        content = {"values": before["values"], "locked": before["locked"]}
        yield
        api.put("/api/v1/settings/layer", params=GLOBAL, json=content).raise_for_status()


def machine_says(deployment: Deployment, one: SimulatedMac, **values: object) -> None:
    with deployment.api() as api:
        layer = {"layer": f"machine:{one.machine_id}"}
        api.put(
            "/api/v1/settings/layer", params=layer, json={"values": values, "locked": []}
        ).raise_for_status()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save settings").click()


def test_a_lock_of_a_global_setting_overrides_a_machines_own(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    one = mac(hostname=f"locked-{time.time_ns()}.example.com")
    one.sync()
    machine_says(deployment, one, batch_size=7)
    assert one.sync().settings["batch_size"] == 7
    visit = logged_in("/settings")
    page = visit.page
    lock = page.get_by_role("switch", name="Events per upload (locked)")
    page.get_by_label("Events per upload", exact=True).fill("33")
    lock.check()
    save(page)
    expect(page.get_by_text("All changes saved")).to_be_visible()
    assert one.sync().settings["batch_size"] == 33
    page.reload()
    expect(lock).to_be_checked()
    lock.uncheck()
    save(page)
    expect(page.get_by_text("All changes saved")).to_be_visible()
    assert one.sync().settings["batch_size"] == 7
    with deployment.api() as api:
        own = api.get("/api/v1/settings/layer", params=GLOBAL).json()
    assert (own["locked"], own["values"]["batch_size"]) == ([], 33)
    assert "full_sync_interval" not in own["values"], "what nobody touched stays the server's default"
    assert visit.complaints == []


def question(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Switch to Lockdown?")


def test_lockdown_for_all_is_asked_for_with_the_number_of_machines(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    one = mac()
    visit = logged_in("/settings")
    page = visit.page
    page.get_by_role("radio", name="Monitor").check()
    save(page)
    expect(page.get_by_text("All changes saved")).to_be_visible()
    assert one.sync().settings["client_mode"] == "MONITOR"
    page.reload()
    page.get_by_role("radio", name="Lockdown").check()
    save(page)
    with deployment.api() as api:
        layers = api.get("/api/v1/layers").json()
    machines = next(layer["machines"] for layer in layers if layer["layer"] == "global")
    expect(question(page)).to_contain_text(f"This affects {machines} machines.")
    expect(question(page)).to_contain_text("blocks every program that no rule or path allows")
    question(page).get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Save settings")).to_be_focused()
    assert one.sync().settings["client_mode"] == "MONITOR"
    save(page)
    question(page).get_by_role("button", name="Save and switch to Lockdown").click()
    expect(page.get_by_text("All changes saved")).to_be_visible()
    assert one.sync().settings["client_mode"] == "LOCKDOWN"
    assert visit.complaints == []


def test_lockdown_for_one_machine_is_asked_for_and_other_changes_are_not(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    one = mac()
    one.sync()
    machine_says(deployment, one, client_mode="MONITOR")
    one.sync()
    visit = logged_in(f"/settings?layer=machine:{one.machine_id}")
    page = visit.page
    page.get_by_label("Mode", exact=True).select_option("STANDALONE")
    save(page)
    expect(page.get_by_text("All changes saved")).to_be_visible()
    page.get_by_label("Mode", exact=True).select_option("LOCKDOWN")
    save(page)
    expect(question(page)).to_contain_text("This affects 1 machine.")
    question(page).get_by_role("button", name="Save and switch to Lockdown").click()
    expect(page.get_by_text("All changes saved")).to_be_visible()
    assert one.sync().settings["client_mode"] == "LOCKDOWN"
    assert visit.complaints == []
