"""Settings of one layer, and a machine's page: what is in force there, why, and monitor mode for a while."""

import re
import time
from collections.abc import Callable

from playwright.sync_api import expect

from tests.e2e.conftest import Deployment, OpenPage, form_dialog, submit
from tests.support.santa_client import SimulatedMac

NewMac = Callable[..., SimulatedMac]
TARGET = "facade" * 10 + "0000"
UNDELIVERED = re.compile(r"\d+ rules? cannot be delivered to this machine as (it is|they are)")
"""What other tests have left counts, too."""
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 375, "height": 812}


def test_a_setting_of_one_machine_is_locked_delivered_and_explained(mac: NewMac, logged_in: OpenPage) -> None:
    one = mac(hostname=f"settings-{time.time_ns()}.example.com")
    one.sync()
    visit = logged_in("/settings", viewport=WIDE)
    page = visit.page
    page.get_by_label("Applies to").select_option("machine")
    expect(page.get_by_role("button", name="Show settings")).to_be_disabled()
    page.get_by_label("Machine", exact=True).fill(one.hostname)
    expect(page.locator("[role=option]").filter(has_text=one.hostname)).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Show settings").click()
    expect(page.get_by_text("No settings defined in this layer")).to_be_visible()
    page.get_by_label("Add a setting").select_option("full_sync_interval")
    field = page.get_by_label("Seconds between syncs", exact=True)
    expect(field).to_be_focused()
    field.fill("5")
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("Enter a whole number from 60 to 86400.")).to_be_visible()
    field.fill("1200")
    page.get_by_label("Locked").check()
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("All changes saved")).to_be_visible()
    assert one.sync().settings["full_sync_interval"] == 1200

    page.goto(f"/machines/{one.machine_id}")
    row = page.get_by_role("row").filter(has_text=re.compile("^Seconds between syncs ?20 min"))
    expect(row).to_contain_text("this machine")
    row.get_by_role("link").click()
    expect(page.get_by_label("Seconds between syncs", exact=True)).to_have_value("1200")
    page.get_by_role("button", name="Remove Seconds between syncs").click()
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("All changes saved")).to_be_visible()
    assert one.sync().settings["full_sync_interval"] != 1200
    assert visit.complaints == []


def test_a_machines_rules_are_found_and_explained(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    one = mac()
    one.sync()
    body = {"rule_type": "BINARY", "identifier": TARGET, "policy": "BLOCKLIST", "comment": "to explain"}
    with deployment.api() as api:
        made = [
            api.post("/api/v1/rules", json={**body, **more}).raise_for_status().json()["id"]
            for more in ({}, {"layer": f"machine:{one.machine_id}", "policy": "ALLOWLIST"})
        ]
        one.sync()
        visit = logged_in(f"/machines/{one.machine_id}", viewport=NARROW)
        page = visit.page
        page.get_by_label("Search this machine").fill("facade")
        row = page.get_by_role("row").filter(has_text="to explain")
        expect(row).to_contain_text("Allow")
        row.get_by_role("button", name="Explain").click()
        drawer = form_dialog(page)
        expect(drawer.get_by_text("Allow, by its Binary rule.")).to_be_visible()
        expect(drawer.get_by_text("The Mac has confirmed these rules.")).to_be_visible()
        expect(drawer.get_by_text("A higher layer has a rule for the target")).to_be_visible()
        page.keyboard.press("Escape")
        expect(drawer).to_be_hidden()
        expect(row.get_by_role("button", name="Explain")).to_be_focused()
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0
        for number in made:
            api.delete(f"/api/v1/rules/{number}").raise_for_status()
    assert visit.complaints == []


def test_monitor_mode_begins_with_a_reason_and_ends_early(mac: NewMac, logged_in: OpenPage) -> None:
    one = mac(client_mode="LOCKDOWN")
    before = one.sync().settings["client_mode"]
    visit = logged_in(f"/machines/{one.machine_id}")
    page = visit.page
    page.get_by_role("button", name="Monitor mode").click()
    dialog = form_dialog(page)
    dialog.get_by_role("button", name="Start Monitor mode").click()
    expect(dialog.get_by_label("Reason")).to_be_focused()
    dialog.get_by_label("Reason").fill("a new tool is being tried")
    dialog.get_by_label("Duration").select_option(label="15 minutes")
    submit(dialog, "Start Monitor mode")
    expect(page.get_by_text("Monitor mode until")).to_be_visible()
    assert one.sync().settings["client_mode"] == "MONITOR"
    page.get_by_role("button", name="End Monitor mode").click()
    expect(page.get_by_text("Monitor mode until")).to_be_hidden()
    assert one.sync().settings["client_mode"] == before
    assert visit.complaints == []


def test_a_machines_page_says_what_it_is_not_sent_and_who_else_uses_its_id(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    one = mac(santa_version="2025.1.1", serial="C02OLDER")
    one.sync()
    layer = f"machine:{one.machine_id}"
    rule = {"rule_type": "BINARY", "identifier": TARGET, "policy": "CEL", "cel_expr": "euid == 0"}
    with deployment.api() as api:
        made = api.post("/api/v1/rules", json={**rule, "layer": layer}).raise_for_status().json()["id"]
        one.serial = "C02NEWER"
        one.sync()
        for viewport in (NARROW, WIDE):
            visit = logged_in(f"/machines/{one.machine_id}", viewport=viewport)
            notices = visit.page.get_by_role("region", name="Notices")
            expect(notices).to_contain_text(UNDELIVERED)
            expect(notices).to_contain_text("C02OLDER")
            expect(notices).to_contain_text("Give each its own MachineID")
            notices.get_by_text("Affected rules").click()
            expect(notices).to_contain_text("Santa 2025.1 does not support the policy CEL")
            overflow = visit.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow <= 0
            assert visit.complaints == []
        api.delete(f"/api/v1/rules/{made}").raise_for_status()
