"""Reported texts with invisible characters are shown by their codes, and isolated from other text."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.layout import WIDTHS, overflow
from tests.support.santa_client import SimulatedMac

NewMac = Callable[..., SimulatedMac]
UNSEEN = ("\u202e", "\u2066", "\u200d", "\u0085", "\U000e0041", "\u200b", "\u3164")
"""Right-to-left override, an isolate, a joiner, next line, a tag, zero width space, a filler."""
SIGN = "".join(UNSEEN)
CODES = [f"U+{ord(character):04X}" for character in UNSEEN]
SHOWN = "".join(CODES)
TITLE = "".join(f"\u2039{code}\u203a" for code in CODES)
"""How titles show them, which take no markup."""


TAIL = str(time.time_ns())
"""At the end of each text, to search for."""


def odd(text: str) -> str:
    return f"{text}{SIGN}{TAIL}"


def seen(text: str) -> str:
    return f"{text}{SHOWN}{TAIL}"


@pytest.fixture
def one(mac: NewMac) -> SimulatedMac:
    """Return a Mac whose name and reports have such characters."""
    one = mac(hostname=odd("host"), primary_user=odd("user"), serial=odd("serial"))
    one.sync()
    one.block(
        odd("exe"),
        time.time(),
        file_path=odd("/Applications/folder"),
        executing_user=odd("by"),
        parent_name=odd("parent"),
        file_bundle_name=odd("bundle"),
        file_bundle_id=odd("com.example.bundle"),
    )
    access = {
        "rule_name": odd("rule"),
        "target": odd("/Users/target"),
        "access_time": time.time(),
        "decision": "FILE_ACCESS_DECISION_DENIED",
        "process_chain": [
            {"file_path": odd("/bin/actor"), "pid": 2, "signing_id": odd("signer")},
            {"file_path": odd("/bin/parent"), "pid": 1},
        ],
    }
    approval = {"decision": "ALLOW_BINARY", "identifier": odd("identifier"), "timestamp": int(time.time())}
    audit = {"standalone_mode_rule_creation": approval}
    one.post("eventupload", {"file_access_events": [access], "audit_events": [audit]})
    return one


def bare(page: Page) -> list[str]:
    """Return the shown texts and tooltips with such a character."""
    found: list[str] = page.evaluate(
        """(unseen) => {
        const has = (text) => [...unseen].some((one) => (text ?? '').includes(one));
        const texts = [document.title];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) texts.push(walker.currentNode.data);
        for (const node of document.querySelectorAll('*'))
          for (const name of ['title', 'aria-label', 'placeholder', 'alt'])
            texts.push(node.getAttribute(name));
        return texts.filter(has);
    }""",
        SIGN,
    )
    return found


def test_lists_show_what_cannot_be_seen(one: SimulatedMac, logged_in: OpenPage) -> None:
    for path, texts in (
        (f"/machines?q={TAIL}", ("host", "user", "serial")),
        (f"/events?machine_id={one.machine_id}", ("host", "exe", "by")),
        (f"/programs?q={TAIL}", ("exe", "bundle")),
        (f"/events/file-accesses?q={TAIL}", ("rule", "/Users/target", "host", "signer")),
        ("/events/agents", ("identifier", "host")),
        ("/", ("exe", "host")),
    ):
        page = logged_in(path).page
        for text in texts:
            expect(page.locator("main").get_by_text(seen(text)).first).to_be_attached()
        assert bare(page) == [], path
        page.set_viewport_size(WIDTHS["phone"])
        assert overflow(page) == 0, path


def test_a_machine_and_its_dialogs_show_what_cannot_be_seen(one: SimulatedMac, logged_in: OpenPage) -> None:
    page = logged_in(f"/machines/{one.machine_id}").page
    expect(page.get_by_role("heading", name=f"host{TITLE}{TAIL}", level=1)).to_be_visible()
    for text in ("user", "serial", "exe"):
        expect(page.locator("main").get_by_text(seen(text)).first).to_be_visible()
    page.get_by_role("button", name="Monitor mode").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"host{TITLE}{TAIL}")
    assert bare(page) == []


def test_an_event_and_the_rule_from_it_show_what_cannot_be_seen(
    one: SimulatedMac, logged_in: OpenPage
) -> None:
    page = logged_in(f"/events?machine_id={one.machine_id}").page
    page.get_by_role("button", name=seen("exe")).click()
    drawer = page.get_by_role("dialog")
    for text in ("/Applications/folder", "bundle", "by", "parent"):
        expect(drawer.get_by_text(seen(text)).first).to_be_visible()
    assert bare(page) == []
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("dialog").last).to_contain_text(f"Why on host{TITLE}{TAIL}")
    assert bare(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Create rule from this event").click()
    form = page.get_by_role("dialog").last
    form.get_by_label("Type").select_option("SIGNINGID")
    form.get_by_label("Identifier", exact=True).fill("ABCDE12345:com.\u202e\u200dx")
    expect(form).to_contain_text("invisible characters: ABCDE12345:com.U+202EU+200Dx")
    form.get_by_label("Applies to").select_option("machine")
    form.get_by_label("Machine", exact=True).fill(TAIL)
    expect(form.get_by_role("listbox").get_by_role("option").first).to_contain_text(seen("host"))
    assert bare(page) == []
