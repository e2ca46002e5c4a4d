"""docker/monitoring: the alerts fire when they should, and everything in it is valid and documented."""

import json
import re
from pathlib import Path

import pytest

from tests.support.monitoring import (
    ALERTS_PAGE,
    MONITORING,
    alerts,
    dashboard,
    documented,
    expressions,
    families_in,
    walk,
)
from tests.support.promtool import promtool

EVALUATED = {"$__rate_interval": "5m", "$job": "santaserver", "$instance": ".+"}
"""What Grafana puts in place of its variables."""
NO_PANELS = ("row",)


def histograms() -> set[str]:
    return {name for name, (kind, *_) in documented().items() if kind == "histogram"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", MONITORING / "alerts.yaml"),
        ("check", "config", MONITORING / "prometheus.yaml"),
        ("test", "rules", MONITORING / "alerts_test.yaml"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments[:2])),
)
def test_promtool_finds_nothing(arguments: tuple[str, ...]) -> None:
    checked = promtool(*arguments)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_has_a_test_and_a_section_that_says_what_to_do() -> None:
    tests = (MONITORING / "alerts_test.yaml").read_text(encoding="utf-8")
    sections = set(re.findall(r"^## (\w+)$", ALERTS_PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    names = [rule["alert"] for rule in alerts()]
    assert sections == set(names)
    assert len(names) == len(set(names))
    for rule in alerts():
        assert f"- name: {rule['alert']}\n" in tests, f"{rule['alert']} has no test"
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"


def test_alerts_and_dashboard_name_documented_metrics_only() -> None:
    used = [rule["expr"] for rule in alerts()] + expressions()
    for expression in used:
        assert families_in(expression, histograms()) <= documented().keys(), expression


def test_each_expression_of_the_dashboard_parses(tmp_path: Path) -> None:
    queries = [one for one in expressions() if not one.startswith("label_values(")]
    assert len(queries) > 40
    for variable, value in EVALUATED.items():
        queries = [one.replace(variable, value) for one in queries]
    assert not [query for query in queries if "$" in query]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    checked = promtool("check", "rules", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_dashboard_works_in_any_grafana() -> None:
    board = dashboard()
    assert (board["id"], board["uid"]) == (None, "santaserver")
    assert not any(word in board for word in ("__inputs", "__requires"))
    first, *others = board["templating"]["list"]
    assert (first["type"], first["name"], first["query"]) == ("datasource", "datasource", "prometheus")
    sources = [one["datasource"] for one in walk(board) if "datasource" in one]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    assert [one["name"] for one in others] == ["job", "instance"]
    panels = board["panels"]
    numbers = [panel["id"] for panel in panels]
    assert len(set(numbers)) == len(numbers)
    for panel in panels:
        assert panel["title"]
        if panel["type"] not in NO_PANELS:
            assert panel["targets"], panel["title"]
            assert "datasource" in panel, panel["title"]
    for query in expressions():
        assert re.search(r"rate\([^[]*\[(?!\$__rate_interval\])", query) is None, query
