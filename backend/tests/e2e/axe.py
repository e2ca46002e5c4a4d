"""axe-core, run in the page that is shown."""

from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).parents[3] / "frontend/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

LOOK = """rules => axe.run(document, {runOnly: rules, resultTypes: ["violations"], selectors: false})
    .then(({violations, passes}) => ({violations, passed: passes.map((rule) => rule.id)}))"""
"""Details are gathered of violations only: those of all that passes would take four times as long."""

SETTLE = "Promise.allSettled(document.getAnimations().map((one) => one.finished)).then(() => null)"
"""Waits for what moves; an animation may be called off when its element goes."""


def violations(page: Page) -> list[str]:
    """Let axe look at what is shown. That some rules passed shows that it did look."""
    # Evaluated by the browser's own tools: the pages' policy lets no foreign script in.
    page.evaluate(SETTLE)
    page.evaluate(AXE.read_text())
    found = page.evaluate(LOOK, RULES)
    assert "button-name" in found["passed"]
    return [
        f"{rule['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
