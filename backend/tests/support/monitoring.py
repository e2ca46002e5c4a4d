"""What docker/monitoring has, and what docs/metrics.md documents."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[3]
MONITORING = REPOSITORY / "docker/monitoring"
METRICS_PAGE = REPOSITORY / "docs/metrics.md"
ALERTS_PAGE = REPOSITORY / "docs/alerts.md"
OF_HISTOGRAMS = ("_bucket", "_sum", "_count")
OWN = re.compile(r"\bsanta_(?:backend|proxy|supervise)_\w+")
ROW = re.compile(r"^\| `(santa_\w+)` \| (counter|gauge|histogram) \| (.*?) ?\| (.+) \|$", re.MULTILINE)


def documented() -> dict[str, tuple[str, ...]]:
    """Return kind, labels and meaning of each family on the page of metrics."""
    rows = ROW.findall(METRICS_PAGE.read_text(encoding="utf-8"))
    found: dict[str, tuple[str, ...]] = {name: tuple(row) for name, *row in rows}
    assert len(found) == len(rows), "the page names a family twice"
    return found


def families_in(expression: str, histograms: set[str]) -> set[str]:
    """Return the families that an expression names; parts of a histogram count as it."""
    names = set(OWN.findall(expression))
    for name in list(names):
        for end in OF_HISTOGRAMS:
            if name.removesuffix(end) in histograms:
                names = (names - {name}) | {name.removesuffix(end)}
    return names


def alerts() -> list[dict[str, Any]]:
    """Return the alert rules."""
    document = yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """Return Grafana's dashboard."""
    loaded: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    return loaded


def walk(value: object) -> Iterator[dict[str, Any]]:
    """Return every object in a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from walk(one)


def expressions() -> list[str]:
    """Return the expressions of the dashboard's panels and annotations, and the queries of its variables."""
    found = [one["expr"] for one in walk(dashboard()) if "expr" in one]
    return found + [one["definition"] for one in dashboard()["templating"]["list"] if "definition" in one]
