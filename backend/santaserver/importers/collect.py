"""Collects the rules of a file: one for a target in a layer, whatever order and form they came in."""

from dataclasses import replace

from santaserver.importers.model import MAX_ROWS, REMOVE, Enough, ImportedRule, Report

Target = tuple[str, str, str]
ALLOWING = frozenset({"ALLOWLIST", "ALLOWLIST_COMPILER"})


class Collector:
    """Takes rules in the order of the file; `finish` hands them to the report."""

    def __init__(self, report: Report, *, last_wins: bool = False, message_to_comment: bool = False) -> None:
        """Begin without rules."""
        self._report = report
        self._last_wins = last_wins
        self._moves = message_to_comment
        self._found: dict[Target, ImportedRule] = {}
        self._rows = 0

    def add(self, rule: ImportedRule) -> None:
        """Take a rule; report one whose target has another already."""
        self._rows += 1
        if self._rows > MAX_ROWS:
            self._report.mistake("too_large", f"A file has {MAX_ROWS} rules at most", rule.place, rule.entry)
            raise Enough
        rule = self._moved(rule)
        target = (_folded(rule.layer), rule.rule_type, rule.identifier)
        first = self._found.get(target)
        if first is None:
            self._found[target] = rule
        elif first.content == rule.content:
            message = f"Same target and content as {_where(first)}"
            self._report.warn("duplicate", message, rule.place, rule.entry)
        elif self._last_wins:
            message = f"{_where(rule).capitalize()} has the same target and is the last"
            self._report.skip("superseded", message, first.place, first.entry)
            del self._found[target]
            self._found[target] = rule
        else:
            self._conflict(first, rule)

    def finish(self) -> None:
        """Put what was collected into the report, in the order of the file."""
        for rule in self._found.values():
            (self._report.removals if rule.policy == REMOVE else self._report.rules).append(rule)
        self._found = {}

    def _moved(self, rule: ImportedRule) -> ImportedRule:
        if not self._moves or rule.policy not in ALLOWING or not rule.custom_msg:
            return rule
        parts = [part for part in (rule.comment, rule.custom_msg) if part]
        return replace(rule, comment="\n".join(dict.fromkeys(parts)), custom_msg="")

    def _conflict(self, first: ImportedRule, rule: ImportedRule) -> None:
        what = "another policy" if first.policy != rule.policy else "another text or expression"
        own = f" ({_where(rule)})" if rule.place.line is not None else ""
        message = f"{_where(first).capitalize()} has {what} for the same target{own}; keep one of them"
        self._report.mistake("conflict", message, rule.place, rule.entry, "identifier")


def _folded(layer: str) -> str:
    """Names of tags and users are the same in any case."""
    return layer if layer.startswith("machine:") else layer.lower()


def _where(rule: ImportedRule) -> str:
    place = rule.place
    if place.line is None:
        return f"rule {rule.entry}"
    column = f", column {place.column}" if place.column and place.column > 1 else ""
    return f"line {place.line}{column}"
