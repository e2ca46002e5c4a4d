"""Files of other servers and tools give exactly what `fixtures/index.json` says."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from santaserver.importers.model import Finding, ImportedRule, Options, Report
from santaserver.importers.reader import read

FOLDER = Path(__file__).parent / "fixtures"
INDEX: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text())["files"]
TEXTS = ("custom_msg", "custom_url", "comment", "cel_expr")


def report_of(expected: dict[str, Any]) -> Report:
    data = (FOLDER / expected["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == expected["sha256"], "the fixture was changed"
    options = expected.get("options", {})
    return read(
        data,
        Options(
            file_name=options.get("file_name", Path(expected["file"]).name),
            configuration=str(options.get("configuration", "")),
        ),
    )


@pytest.mark.parametrize("expected", INDEX, ids=lambda one: one["file"])
def test_a_file_of_another_tool_is_read_as_it_should_be(expected: dict[str, Any]) -> None:
    report = report_of(expected)
    assert (report.format, report.outcome) == (expected["format"], expected["outcome"]), list(report.mistakes)
    assert len(expected["rules"]) == expected["rules_expected"]
    assert [shown(rule) for rule in report.rules] == [wanted(one) for one in expected["rules"]]
    assert [target(rule) for rule in report.removals] == [
        target_of(one) for one in expected.get("removals", [])
    ]
    check_lines(report, expected)
    same_findings(list(report.mistakes), expected.get("mistakes", []))
    same_findings(list(report.skipped), expected.get("skipped", []))
    missing = [
        one for one in expected.get("warnings", []) if not any(says(it, one) for it in report.warnings)
    ]
    assert missing == []
    assert report.settings == expected.get("settings", {})
    assert [candidate(one) for one in report.candidates] == expected.get("candidates", [])


def shown(rule: ImportedRule) -> dict[str, Any]:
    texts = {name: getattr(rule, name) for name in TEXTS}
    return target(rule) | {"policy": rule.policy} | texts


def wanted(one: dict[str, Any]) -> dict[str, Any]:
    return target_of(one) | {"policy": one["policy"]} | {name: one.get(name, "") for name in TEXTS}


def target(rule: ImportedRule) -> dict[str, Any]:
    names = ("entry", "layer", "rule_type", "identifier")
    return {name: getattr(rule, name) for name in names}


def target_of(one: dict[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("entry", "layer", "rule_type", "identifier")}


def check_lines(report: Report, expected: dict[str, Any]) -> None:
    for rules, told in ((report.rules, expected["rules"]), (report.removals, expected.get("removals", []))):
        lines = [
            (rule.place.line, one["line"]) for rule, one in zip(rules, told, strict=True) if "line" in one
        ]
        assert [line for line, _ in lines] == [line for _, line in lines]


def same_findings(found: list[Finding], expected: list[dict[str, Any]]) -> None:
    assert len(found) == len(expected), found
    for one in expected:
        assert any(says(it, one) for it in found), (one, found)


def says(found: Finding, expected: dict[str, Any]) -> bool:
    if (found.code, found.entry) != (expected["code"], expected.get("entry")):
        return False
    if expected.get("field") not in {None, found.field}:
        return False
    line = expected.get("line")
    return line is None or (
        found.place.line is not None
        and line <= found.place.line <= max(line, expected.get("line_last", line_last(found, line)))
    )


def line_last(found: Finding, line: int) -> int:
    """A message may name any line of its rule; rules of the files are short."""
    return line + 12 if found.entry is not None else line


def candidate(one: Any) -> dict[str, Any]:  # noqa: ANN401 - a candidate of the report
    names = ("decision", "reason", "sha256", "cert_sha256", "team_id", "path", "quarantine_url", "count")
    values = {"line": one.place.line} | {name: getattr(one, name) for name in names}
    return {name: value for name, value in values.items() if value != ""}
