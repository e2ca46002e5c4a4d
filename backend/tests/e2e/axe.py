"""axe-core, run in the page that is shown."""

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
"""A dialog is looked at alone. Details are gathered of violations only: those of all that passes would
take four times as long."""

SETTLE = "Promise.allSettled(document.getAnimations().map((one) => one.finished)).then(() => null)"
"""Waits for what moves; an animation may be called off when its element goes."""


LOOKS: tuple[tuple[Literal["light", "dark"], list[str], str], ...] = (
    ("light", RULES, "button-name"),
    ("dark", ["color-contrast"], "color-contrast"),
)
"""Of the second scheme only the colours are new. The last is a rule that passes on every page."""


def violations(page: Page) -> list[str]:
    """Let axe look at what is shown in both colour schemes. That a rule passed shows that it did look."""
    # Evaluated by the browser's own tools: the pages' policy lets no foreign script in.
    page.evaluate(AXE.read_text())
    complaints = []
    for scheme, rules, passes in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.evaluate(SETTLE)
        found = page.evaluate(LOOK, rules)
        assert passes in found["passed"]
        complaints += [
            f"{scheme}: {rule['id']}: {node['html'][:200]} ({node['failureSummary']})"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
    return complaints
