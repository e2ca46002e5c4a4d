"""Runs axe-core in the present page."""

from pathlib import Path
from typing import Literal

from playwright.sync_api import Page

AXE = Path(__file__).parents[3] / "frontend/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

LOOK = """async (rules) => {
    const dialog = document.querySelector("dialog[open]");
    // axe does not know the top layer: to it, what comes later in the page lies over a dialog.
    document.body.style.visibility = dialog ? "hidden" : "";
    dialog?.style.setProperty("visibility", "visible");
    const options = {runOnly: rules, resultTypes: ["violations"], selectors: false};
    const {violations, passes} = await axe.run(dialog ?? document, options);
    document.body.style.visibility = "";
    dialog?.style.removeProperty("visibility");
    return {violations, passed: passes.map((rule) => rule.id)};
}"""
"""A dialog is checked alone. Details are collected for violations only: those of passed rules would take four
times as long.
"""

SETTLE = """() => {
    for (const one of document.getAnimations())
        if (Number.isFinite(one.effect?.getComputedTiming().endTime)) one.finish();
}"""
"""Brings animations to their end, except those without one. Waiting for the end could take forever: in a
browser that draws nothing, no animation advances.
"""


Look = tuple[Literal["light", "dark"], list[str], str]
LOOKS: tuple[Look, ...] = (
    ("light", RULES, "button-name"),
    ("dark", ["color-contrast"], "color-contrast"),
)
"""In the second scheme only colors differ. The last rule passes on every page."""


def violations(page: Page, passing: str = "", looks: tuple[Look, ...] = LOOKS) -> list[str]:
    """Run axe, in both color schemes unless told. A passed rule shows that it ran; not all have buttons."""
    # Evaluated by the browser's own tools: the pages' policy blocks other scripts.
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    complaints = []
    for scheme, rules, passes in looks:
        page.emulate_media(color_scheme=scheme)
        page.evaluate(SETTLE)
        found = page.evaluate(LOOK, rules)
        assert (passing if passing and rules is RULES else passes) in found["passed"]
        complaints += [
            f"{scheme}: {rule['id']}: {node['html'][:200]} ({node['failureSummary']})"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
    return complaints
