"""Rules as files in the browser: preview with every error, lock-out check, apply in one step, export."""

import json
import time
from collections.abc import Callable

from playwright.sync_api import FilePayload, Page, expect

from tests.e2e.conftest import Deployment, OpenPage
from tests.e2e.layout import WIDTHS, fits
from tests.support.santa_client import SimulatedMac

NewMac = Callable[..., SimulatedMac]


def csv(*lines: str) -> FilePayload:
    text = "\n".join(("layer,rule_type,identifier,policy,comment", *lines)) + "\n"
    return {"name": "rules.csv", "mimeType": "text/csv", "buffer": text.encode()}


def test_a_file_is_previewed_corrected_applied_and_exported(
    deployment: Deployment, mac: NewMac, logged_in: OpenPage
) -> None:
    number = time.time_ns()
    one, two = f"{number:064x}", f"{number + 1:064x}"
    known = mac()
    known.sync()
    visit = logged_in("/rules")
    page = visit.page
    page.get_by_role("link", name="Import and export").click()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Choose a file.")).to_be_visible()

    page.get_by_label("File", exact=True).set_input_files(
        csv(f"global,BINARY,{one},BLOCKLIST,", "global,BINARY,short,BLOCKLIST,", "tag:nobody,TEAMID,A,CEL,")
    )
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("2 errors in the file")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="There is no such layer")).to_contain_text("line 4")
    expect(page.get_by_role("button", name="Apply import")).to_be_hidden()

    page.get_by_label("File", exact=True).set_input_files(csv("global,TEAMID,ZMCG7MLDV9,BLOCKLIST,"))
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("This locks Macs out: Santa")).to_be_visible()
    expect(page.get_by_label("Import anyway")).not_to_be_checked()

    right = csv(f"global,BINARY,{one},BLOCKLIST,", f"machine:{known.machine_id},BINARY,{two},ALLOWLIST,mine")
    page.get_by_label("File", exact=True).set_input_files(right)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("2 rules are added.")).to_be_visible()
    page.get_by_role("button", name="Apply import").click()
    expect(page.get_by_text("Imported as policy version")).to_be_visible()
    known.sync()
    assert (known.rules["BINARY", one][0], known.rules["BINARY", two][0]) == ("BLOCKLIST", "ALLOWLIST")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("No changes: 2 rules exist already.")).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="Export JSON").click()
    exported = json.loads(download.value.path().read_text())
    assert {one, two} <= {rule["identifier"] for rule in exported["rules"]}
    again: FilePayload = {
        "name": "rules.json",
        "mimeType": "application/json",
        "buffer": download.value.path().read_bytes(),
    }
    page.get_by_label("File", exact=True).set_input_files(again)
    page.get_by_label("Remove rules that are not in the file").check()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("No changes:")).to_be_visible()
    with deployment.api() as api:
        for identifier in (one, two):
            for rule in api.get("/api/v1/rules", params={"q": identifier}).json()["items"]:
                api.delete(f"/api/v1/rules/{rule['id']}").raise_for_status()
    assert visit.complaints == []


MOROZ = """client_mode = "LOCKDOWN"
clean_sync = true

[[rules]]
rule_type = "BINARY"
policy = "WHITELIST"
sha256 = "{one}"
custom_msg = "a note"

[[rules]]
rule_type = "BINARY"
policy = "{policy}"
identifier = "{two}"
"""


def test_a_moroz_file_is_dropped_understood_corrected_and_imported(
    deployment: Deployment, logged_in: OpenPage
) -> None:
    number = time.time_ns()
    one, two = f"{number:064x}", f"{number + 1:064x}"
    visit = logged_in("/rules/files", viewport=WIDTHS["phone"])
    page = visit.page
    drop(page, "global.toml", MOROZ.format(one=one, two=two, policy="BLOKLIST"))
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Moroz (TOML)")).to_be_visible()
    expect(page.get_by_text("client_mode: LOCKDOWN")).to_be_visible()
    mistake = page.get_by_role("row").filter(has_text="BLOKLIST")
    expect(mistake).to_contain_text("line 12")
    expect(mistake).to_contain_text("policy")
    page.get_by_text("Earlier words (1)").click()
    expect(page.get_by_text("is today called ALLOWLIST")).to_be_visible()
    fits(page)

    drop(page, "global.toml", MOROZ.format(one=one, two=two, policy="BLOCKLIST"))
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("2 rules are added.")).to_be_visible()
    page.get_by_label("Messages of allow rules become comments").check()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("2 rules are added.")).to_be_visible()
    fits(page)
    page.get_by_role("button", name="Apply import").click()
    expect(page.get_by_text("Imported as policy version")).to_be_visible()
    with deployment.api() as api:
        (rule,) = api.get("/api/v1/rules", params={"q": one}).json()["items"]
        assert (rule["policy"], rule["custom_msg"], rule["comment"]) == ("ALLOWLIST", "", "a note")
        for identifier in (one, two):
            for found in api.get("/api/v1/rules", params={"q": identifier}).json()["items"]:
                api.delete(f"/api/v1/rules/{found['id']}").raise_for_status()
    assert visit.complaints == []


def drop(page: Page, name: str, text: str) -> None:
    """Drop a file on the form, as from a folder."""
    files = page.evaluate_handle(
        """([name, text]) => {
            const files = new DataTransfer();
            files.items.add(new File([text], name));
            return files;
        }""",
        [name, text],
    )
    page.get_by_role("group", name="Import a file").dispatch_event("drop", {"dataTransfer": files})
