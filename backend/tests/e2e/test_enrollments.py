"""An enrollment from its first profile to its second secret, with simulated Macs."""

import plistlib
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import Deployment, OpenPage, form_dialog
from tests.e2e.layout import fits
from tests.support.santa_client import SimulatedMac


def downloaded(page: Page, dialog: Locator) -> dict[str, Any]:
    """Download a profile; return Santa's configuration in it."""
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download profile").click()
    found = plistlib.loads(Path(download.value.path()).read_bytes())
    assert len(found["PayloadContent"]) == 5
    santa: dict[str, Any] = found["PayloadContent"][0]
    return santa


def secret_of(santa: dict[str, Any]) -> str:
    """Return the secret that Santa would show."""
    return str(santa["SyncExtraHeaders"]["Authorization"]).removeprefix("Bearer ")


def test_the_page_says_when_the_first_mac_has_synced(deployment: Deployment, logged_in: OpenPage) -> None:
    number = time.time_ns()
    visit = logged_in("/enrollments")
    page = visit.page
    page.get_by_role("button", name="New enrollment").click()
    page.get_by_label("Label").fill(f"First {number}")
    page.get_by_role("button", name="Create enrollment").click()
    dialog = form_dialog(page)
    first = dialog.get_by_role("status", name="First Mac")
    expect(first).to_contain_text("Waiting for the first Mac")
    dialog.get_by_label("Deploy it with").select_option("Workspace ONE")
    expect(dialog.get_by_text("Add > Upload Profile")).to_be_visible()
    santa = downloaded(page, dialog)
    assert str(santa["SyncBaseURL"]).endswith("/api/santa/")
    assert violations(page) == []
    mac = SimulatedMac(
        deployment.url, secret=secret_of(santa), machine_id=f"F-{number}", hostname=f"mac-42-{number}"
    )
    mac.sync()
    mac.close()
    expect(first).to_contain_text(f"mac-42-{number} has synced.")
    dialog.get_by_role("button", name="I have stored the secret").click()
    row = page.get_by_role("row").filter(has_text=f"First {number}")
    expect(row.get_by_role("cell", name="1", exact=True)).to_be_visible()
    assert visit.complaints == []


def test_macs_move_to_the_next_secret_by_themselves(deployment: Deployment, logged_in: OpenPage) -> None:
    number = time.time_ns()
    with deployment.api() as api:
        made = api.post("/api/v1/enrollments", json={"label": f"Next {number}"}).raise_for_status().json()
    mac = SimulatedMac(
        deployment.url, secret=made["secret"], machine_id=f"J-{number}", hostname=f"mover-{number}"
    )
    mac.sync()
    visit = logged_in("/enrollments")
    page = visit.page
    row = page.get_by_role("row").filter(has_text=f"Next {number}")
    row.get_by_role("button", name="Secrets").click()
    dialog = form_dialog(page)
    expect(dialog.get_by_text("1 Mac uses it")).to_be_visible()
    end = datetime.now(UTC).astimezone() + timedelta(days=7)
    dialog.get_by_label(re.compile("the current secret works until")).fill(f"{end:%Y-%m-%dT%H:%M}")
    dialog.get_by_role("button", name="Rotate secret").click()
    expect(dialog.get_by_text("Macs switch to the new secret automatically")).to_be_visible()
    new = secret_of(downloaded(page, dialog))
    mac.sync()
    dialog.get_by_role("button", name="I have stored the secret").click()
    expect(row).to_contain_text("1 with a previous secret")

    row.get_by_role("button", name="Secrets").click()
    previous = dialog.get_by_role("listitem").filter(has_text="works until")
    previous.get_by_role("button", name="Show Macs").click()
    expect(previous.get_by_role("link", name=f"mover-{number}")).to_be_visible()
    fits(page)
    mac.secret = new
    mac.sync()
    expect(previous).to_contain_text("No Mac uses it")
    previous.get_by_role("button", name="End now").click()
    expect(dialog.get_by_role("button", name="End now")).to_have_count(0)
    expect(dialog.get_by_text("Ended", exact=True)).to_be_visible()
    until_refused(mac, made["secret"])
    mac.secret = new
    mac.sync()
    mac.close()
    assert visit.complaints == []


def until_refused(mac: SimulatedMac, secret: str) -> None:
    """Wait until a secret is refused, which takes some seconds."""
    mac.secret = secret
    deadline = time.monotonic() + 30
    while mac.post_raw("preflight", b"{}").status_code != httpx.codes.UNAUTHORIZED:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_secret_is_limited_to_networks(deployment: Deployment, logged_in: OpenPage) -> None:
    label = f"Networks {time.time_ns()}"
    with deployment.api() as api:
        made = api.post("/api/v1/enrollments", json={"label": label}).raise_for_status().json()
    visit = logged_in("/enrollments")
    page = visit.page
    row = page.get_by_role("row").filter(has_text=label)
    row.get_by_role("button", name="Secrets").click()
    dialog = form_dialog(page)
    expect(dialog.get_by_text("Accepted from any address")).to_be_visible()
    dialog.get_by_role("button", name="Networks").click()
    dialog.get_by_label("Networks").fill("192.0.2.0/33")
    dialog.get_by_role("button", name="Save networks").click()
    expect(dialog.get_by_text("Not an address or network")).to_be_visible()
    visit.complaints.clear()  # the refused request
    dialog.get_by_label("Networks").fill("192.0.2.0/24")
    dialog.get_by_role("button", name="Save networks").click()
    expect(dialog.get_by_text("Accepted from 192.0.2.0/24")).to_be_visible()
    mac = SimulatedMac(deployment.url, secret=made["secret"], machine_id=f"N-{time.time_ns()}")
    assert mac.post_raw("preflight", b"{}").status_code == httpx.codes.UNAUTHORIZED
    mac.close()
    with deployment.api() as api:
        until_counted(api, f"/api/v1/enrollments/{made['enrollment']['id']}")
    page.reload()
    expect(row).to_contain_text("1 request refused")
    row.get_by_role("button", name="Secrets").click()
    expect(dialog.get_by_text("the address is in none of its networks")).to_be_visible()
    assert visit.complaints == []


def until_counted(api: httpx.Client, path: str) -> None:
    """Wait until a refused request is counted, which takes some seconds."""
    deadline = time.monotonic() + 30
    while api.get(path).json()["secrets"][0]["refused"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
