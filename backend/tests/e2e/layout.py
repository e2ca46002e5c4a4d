"""Checks of what a page shows on a phone and a desktop: it is accessible, and not wider than the window."""

from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.axe import LOOKS, violations

WIDTHS: dict[str, ViewportSize] = {
    "phone": {"width": 375, "height": 812},
    "desktop": {"width": 1440, "height": 900},
}


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the window."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return max(wider, 0)


def settled(page: Page) -> None:
    """Wait until everything is shown."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def fits(page: Page, passing: str = "") -> None:
    """Check a page as it is shown now, at its own width in both color schemes, then at the other width.

    A flow is not gone through again for the other width: only what it shows differs.
    """
    own = page.viewport_size
    found = (violations(page, passing), overflow(page))
    assert found == ([], 0), (page.url, found)
    page.set_viewport_size(WIDTHS["desktop" if own == WIDTHS["phone"] else "phone"])
    found = (violations(page, passing, LOOKS[:1]), overflow(page))
    assert found == ([], 0), (page.url, found)
    if own:
        page.set_viewport_size(own)
