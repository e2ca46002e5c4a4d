"""Programs, file accesses, audit events of agents and serial numbers in the browser."""

import hashlib
import time
from collections.abc import Callable

from playwright.sync_api import expect

from tests.e2e.conftest import Deployment, OpenPage, form_dialog, submit
from tests.support.santa_client import SimulatedMac

NewMac = Callable[..., SimulatedMac]


def test_a_program_is_found_and_a_rule_made_from_it(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    name = f"Cataloged{time.time_ns()}"
    one = mac()
    one.sync()
    one.block(name, when=time.time())
    visit = logged_in("/programs")
    page = visit.page
    page.get_by_label("Search programs").fill(name)
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("Not signed")
    expect(row.get_by_role("link", name="1 times blocked")).to_be_visible()
    row.get_by_text("Identifiers").click()
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    expect(row.get_by_text(sha256)).to_be_visible()
    row.get_by_role("button", name="Create rule").click()
    dialog = form_dialog(page)
    expect(dialog.get_by_label("Identifier")).to_have_value(sha256)
    submit(dialog, "Create rule")
    one.sync()
    assert one.rules["BINARY", sha256][0] == "ALLOWLIST"
    with deployment.api() as api:
        for rule in api.get("/api/v1/rules", params={"q": sha256}).json()["items"]:
            api.delete(f"/api/v1/rules/{rule['id']}").raise_for_status()
    assert visit.complaints == []


def test_what_a_mac_reports_besides_executions_is_shown(mac: NewMac, logged_in: OpenPage) -> None:
    target = f"/Users/sim/watched-{time.time_ns()}"
    one = mac(hostname="reports.example.com")
    one.sync()
    access = {
        "rule_name": "Cookies",
        "target": target,
        "access_time": time.time(),
        "decision": "FILE_ACCESS_DECISION_DENIED",
        "process_chain": [{"file_path": "/bin/cat", "pid": 1}],
    }
    approval = {"decision": "ALLOW_BINARY", "identifier": "9" * 64, "timestamp": int(time.time())}
    one.post(
        "eventupload",
        {
            "file_access_events": [access],
            "audit_events": [{"standalone_mode_rule_creation": approval}],
        },
    )
    visit = logged_in("/events")
    page = visit.page
    page.get_by_role("link", name="File accesses").click()
    page.get_by_label("Search file accesses").fill(target)
    row = page.get_by_role("row").filter(has_text=target)
    expect(row).to_contain_text("Denied")
    expect(row).to_contain_text("cat")
    page.get_by_role("link", name="Agents").click()
    row = page.get_by_role("row").filter(has_text="reports.example.com").first
    expect(row).to_contain_text("A user approved a program in Standalone mode")
    assert visit.complaints == []


def test_serial_numbers_are_added_and_taken_off(deployment: Deployment, logged_in: OpenPage) -> None:
    label = f"Serials {time.time_ns()}"
    with deployment.api() as api:
        made = api.post("/api/v1/enrollments", json={"label": label}).raise_for_status().json()
    visit = logged_in("/enrollments")
    page = visit.page
    row = page.get_by_role("row").filter(has_text=label)
    row.get_by_role("button", name="Serials").click()
    dialog = form_dialog(page)
    expect(dialog.get_by_text("Any Mac can enroll.")).to_be_visible()
    dialog.get_by_label("Add serial numbers").fill("c02one, c02two")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_text("Only 2 listed Macs can enroll.")).to_be_visible()
    dialog.get_by_role("button", name="Remove C02ONE").click()
    expect(dialog.get_by_text("Only 1 listed Mac can enroll.")).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    expect(row).to_contain_text("1 serial number")
    with deployment.api() as api:
        path = f"/api/v1/enrollments/{made['enrollment']['id']}"
        assert api.get(f"{path}/serials").json()["serials"] == ["C02TWO"]
        api.post(f"{path}/revoke").raise_for_status()
    assert visit.complaints == []
