"""Decides what an import changes: all rules are checked and compared before anything is done. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from santaserver.errors import Unprocessable
from santaserver.layers.schemas import GLOBAL
from santaserver.rules.checks import (
    CheckedContent,
    Schedule,
    check_comment,
    check_content,
    check_identifier,
    check_layer,
    check_schedule,
)
from santaserver.rules.schemas import Policy, RuleContent, RuleType
from santaserver.rules.transfer_format import FileRow
from santaserver.rules.transfer_schemas import Action, FileMistake, PlannedChange

Key = tuple[str, str, str]
"""(layer as it is stored, rule type, identifier)"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A checked rule of a file."""

    line: int
    key: Key
    content: CheckedContent
    schedule: Schedule
    comment: str


@dataclass(frozen=True, slots=True)
class Present:
    """A live rule."""

    rule: int
    layer: int
    content: CheckedContent
    schedule: Schedule
    """A start that has passed is none."""
    waits: bool
    comment: str


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one rule."""

    action: Action
    key: Key
    wanted: Wanted | None
    present: Present | None

    @property
    def noticed(self) -> bool:
        """Whether a Mac could notice it; a new comment alone takes no number."""
        if self.wanted is None or self.present is None:
            return True
        return (self.wanted.content, self.wanted.schedule) != (self.present.content, self.present.schedule)


@dataclass(slots=True)
class Plan:
    """Everything that an import does."""

    steps: list[Step] = field(default_factory=list)
    unchanged: int = 0
    mistakes: list[FileMistake] = field(default_factory=list)

    def count(self, action: Action) -> int:
        """Return how many rules this happens to."""
        return sum(step.action == action for step in self.steps)


def check_rows(
    rows: Sequence[FileRow], layers: Mapping[str, str], now: datetime
) -> tuple[list[Wanted], list[FileMistake]]:
    """Check rules one by one; `layers` gives the stored name of each layer of the file that there is."""
    wanted: dict[Key, Wanted] = {}
    mistakes: list[FileMistake] = []
    for row in rows:
        layer = layers.get(row.rule.layer)
        if layer is None:
            mistakes.append(FileMistake(line=row.line, field="layer", message="There is no such layer"))
            continue
        try:
            one = _check(row, layer, now)
        except Unprocessable as error:
            mistakes += (
                FileMistake(line=row.line, field=item.field, message=item.message) for item in error.errors
            )
            continue
        first = wanted.setdefault(one.key, one)
        if first is not one:
            message = f"Line {first.line} has a rule for the same target in the same layer"
            mistakes.append(FileMistake(line=row.line, field="identifier", message=message))
    return list(wanted.values()), mistakes


def make_plan(wanted: Sequence[Wanted], present: Mapping[Key, Present], *, remove_missing: bool) -> Plan:
    """Compare checked rules with those that are there."""
    plan = Plan()
    for one in wanted:
        known = present.get(one.key)
        if known is None:
            plan.steps.append(Step("add", one.key, one, None))
        elif (one.content, one.schedule, one.comment) == (known.content, known.schedule, known.comment):
            plan.unchanged += 1
        elif one.schedule.starts_at is not None and not known.waits:
            message = "The rule is in force already, so it cannot start later"
            plan.mistakes.append(FileMistake(line=one.line, field="starts_at", message=message))
        else:
            plan.steps.append(Step("change", one.key, one, known))
    if remove_missing:
        named = {one.key for one in wanted}
        missing = sorted(key for key in present if key not in named)
        plan.steps += (Step("remove", key, None, present[key]) for key in missing)
    return plan


def show(step: Step) -> PlannedChange:
    """Return a step as it is shown."""
    layer, rule_type, identifier = step.key
    return PlannedChange(
        action=step.action,
        line=step.wanted.line if step.wanted else None,
        layer=layer,
        rule_type=cast("RuleType", rule_type),
        identifier=identifier,
        before=cast("Policy", step.present.content.policy) if step.present else None,
        after=cast("Policy", step.wanted.content.policy) if step.wanted else None,
    )


def _check(row: FileRow, layer: str, now: datetime) -> Wanted:
    rule = row.rule
    content = RuleContent.model_validate(rule.model_dump(exclude={"layer", "rule_type", "identifier"}))
    identifier = check_identifier(rule.rule_type, rule.identifier)
    check_layer(GLOBAL if layer == GLOBAL else "tag", content)
    return Wanted(
        line=row.line,
        key=(layer, rule.rule_type, identifier),
        content=check_content(rule.rule_type, content),
        schedule=check_schedule(content, now),
        comment=check_comment(rule.comment),
    )
