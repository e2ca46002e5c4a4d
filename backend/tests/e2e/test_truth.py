"""The console shows the truth: bursts, removals and numbers before a change."""

import re
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import FilePayload, expect

from tests.e2e.conftest import Deployment, OpenPage, form_dialog
from tests.support.santa_client import SimulatedMac

NewMac = Callable[..., SimulatedMac]
BURST = 120


def test_a_burst_is_announced_to_the_last_event(mac: NewMac, logged_in: OpenPage) -> None:
    one = mac(hostname="burst.example.com")
    one.sync()
    page = logged_in(f"/events?machine_id={one.machine_id}").page
    expect(page.get_by_text("No event matches")).to_be_visible()
    expect(page.get_by_text("Live", exact=True).first).to_be_visible()
    now = time.time()
    events = [
        {
            "file_sha256": f"{time.time_ns() + number:064x}",
            "file_path": "/usr/local/bin",
            "file_name": f"burst-{number}",
            "execution_time": round(now - number, 3),
            "decision": "ALLOW_UNKNOWN" if number % 2 else "BLOCK_UNKNOWN",
            "pid": 100 + number,
        }
        for number in range(BURST)
    ]
    one.post("eventupload", {"events": events})
    show = page.get_by_role("button", name=re.compile(r"^\d+ new . show$"))
    expect(show).to_be_visible()
    rows = page.locator("tbody tr")
    expect(rows.first).to_be_visible()
    deadline = time.monotonic() + 10
    while int(re.sub(r"\D", "", show.inner_text())) + rows.count() != BURST:
        assert time.monotonic() < deadline, "every event is shown or counted, and none twice"
        page.wait_for_timeout(50)
    show.click()
    expect(show).to_be_hidden()
    for shown in (100, BURST):
        page.get_by_role("button", name="Load more").click()
        expect(rows).to_have_count(shown)
    expect(page.get_by_text("Unknown, allowed").first).to_be_visible()


def test_a_removal_is_shown_until_it_is_delivered(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    number = f"{time.time_ns():064x}"
    one = mac()
    with deployment.api() as api:
        body = {"rule_type": "BINARY", "identifier": number, "policy": "BLOCKLIST"}
        layer = f"machine:{one.machine_id}"
        one.sync()
        rule = api.post("/api/v1/rules", json={**body, "layer": layer}).raise_for_status().json()["id"]
        one.sync()
        page = logged_in(f"/rules?layer={layer}").page
        page.get_by_role("row").filter(has_text="Binary").get_by_role("button", name="Remove").click()
        form_dialog(page).get_by_role("button", name="Remove rule").click()
        expect(page.get_by_text("Rule removed.")).to_be_visible()
        page.get_by_role("link", name="Removed rules").click()
        row = page.get_by_role("row").filter(has_text=number[-6:]).first
        expect(row).to_contain_text("0/ 1")
        one.sync()
        expect(row).to_contain_text("1/ 1")
        assert rule not in {found["id"] for found in api.get("/api/v1/rules?limit=500").json()["items"]}


def test_an_import_that_removes_asks_with_the_true_number(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    one = mac()
    one.sync()
    layer = f"machine:{one.machine_id}"
    with deployment.api() as api:
        for number in range(12):
            identifier = f"{time.time_ns() + number:064x}"
            rule = {"layer": layer, "rule_type": "BINARY", "identifier": identifier, "policy": "ALLOWLIST"}
            api.post("/api/v1/rules", json=rule).raise_for_status()
    page = logged_in("/rules/files").page
    line = f"{layer},BINARY,{time.time_ns():064x},ALLOWLIST,"
    content = f"layer,rule_type,identifier,policy,comment\n{line}\n".encode()
    file: FilePayload = {"name": "rules.csv", "mimeType": "text/csv", "buffer": content}
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_label("Remove rules that are not in the file").check()
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Apply import …").click()
    dialog = form_dialog(page)
    apply = dialog.get_by_role("button", name="Import and remove 12 rules")
    expect(apply).to_be_disabled()
    dialog.get_by_label("Enter the number of rules to remove").fill("11")
    expect(apply).to_be_disabled()
    dialog.get_by_label("Enter the number of rules to remove").fill("12")
    apply.click()
    expect(page.get_by_text("Imported as policy version")).to_be_visible()
    one.sync()
    assert len([key for key in one.rules if key[0] == "BINARY" and int(key[1], 16) > 10**15]) >= 1


@pytest.mark.parametrize("ending", ["/tags", "/a b?c#d%"])
def test_a_machine_is_opened_whatever_its_id_is_made_of(
    mac: NewMac, logged_in: OpenPage, ending: str
) -> None:
    number = time.time_ns()
    machine_id = f"rack {number}{ending}"
    one = mac(machine_id=quote(machine_id), hostname=f"odd-{number}.example.com")
    one.sync()
    visit = logged_in(f"/machines?q=odd-{number}")
    visit.page.get_by_role("link", name=f"odd-{number}.example.com").click()
    expect(visit.page.get_by_role("heading", level=1)).to_contain_text(f"odd-{number}")
    expect(visit.page.get_by_text(machine_id, exact=True).first).to_be_visible()
    visit.page.reload()
    expect(visit.page.get_by_role("heading", level=1)).to_contain_text(f"odd-{number}")
    assert visit.complaints == []
