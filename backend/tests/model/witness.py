"""Compares what one Mac is sent at each sync with what the policy was meanwhile."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tests.model.badge import Badge
from tests.model.policy import Content, Facts, Key
from tests.model.settings import compared
from tests.model.timeline import SET, Since, Timeline
from tests.model.wrong import WrongError

SETTINGS, CHANGE_SETS = "settings", "rules of change sets"


@dataclass
class Witness:
    """Sees a Mac's preflights and the rules that follow."""

    timeline: Timeline
    facts: Facts
    badge: Badge
    journal: deque[tuple[int, str, str, str]]
    """What the Mac did."""
    seen: Counter[str] = field(default_factory=Counter)
    """How often what was compared."""
    since: Since | None = None
    """When the sync began; None while a Mac's standing, and so its tags, are in doubt."""

    def begins(self) -> None:
        """A preflight is about to be sent."""
        self.since = None if self.badge.unsure else self.timeline.begin()

    def was_sent(self, response: Mapping[str, Any]) -> None:
        """Raise `WrongError` unless a preflight brought the settings of a moment since it began."""
        if self.since is None or self.badge.changing:
            return
        self.seen[SETTINGS] += 1
        sent = compared(response)
        if sent not in self.timeline.possible_settings(self.facts, self.since):
            self._wrong(
                f"was sent the settings {sent}", self.timeline.possible_settings(self.facts, self.since)
            )

    def has(self, table: Mapping[Key, Content]) -> None:
        """Raise `WrongError` unless the rules of change sets are those of a moment since the sync began."""
        if self.since is None or self.badge.changing:
            return
        self.seen[CHANGE_SETS] += 1
        there = {key: table[key] for key in SET if key in table}
        if there not in self.timeline.possible_sets(self.facts, self.since):
            self._wrong(f"has, of change sets, {there}", self.timeline.possible_sets(self.facts, self.since))

    def _wrong(self, what: str, possible: Iterable[object]) -> NoReturn:
        lines = [
            f"{self.facts} {what}, but since its preflight there was only",
            *map(str, possible),
            "what it did (sync, what, fault, outcome):",
            *(" | ".join(map(str, entry)) for entry in self.journal),
        ]
        raise WrongError(self.facts.machine_id, "\n  ".join(lines))
