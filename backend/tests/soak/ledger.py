"""Which content each rule may have, after writes that were acknowledged, refused or never answered. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Content = tuple[str, str] | None
"""(policy, custom message), or None where there is no rule."""


@dataclass
class Ledger:
    """One writer's rules, by identifier; a write begins, and then becomes one of three."""

    possible: dict[str, set[Content]] = field(default_factory=dict)
    acknowledged: int = 0
    unknown: int = 0

    def may_be(self, identifier: str) -> set[Content]:
        """Return what a rule may be now."""
        return self.possible.get(identifier, {None})

    def was_acknowledged(self, identifier: str, content: Content) -> None:
        """The server said that it has done a write."""
        self.acknowledged += 1
        self.possible[identifier] = {content}

    def was_cut(self, identifier: str, content: Content) -> None:
        """A write was sent, and nobody knows whether it was done."""
        self.unknown += 1
        self.possible[identifier] = self.may_be(identifier) | {content}

    def wrong(self, there: Mapping[str, Content]) -> list[str]:
        """Return each rule that is not as it was acknowledged; what there is settles what was unknown."""
        found = [
            f"rule {identifier[-8:]} is {there.get(identifier)}, but what was written is {wanted}"
            for identifier, wanted in self.possible.items()
            if there.get(identifier) not in wanted
        ]
        found += [
            f"rule {identifier[-8:]} was written by nobody" for identifier in there.keys() - self.possible
        ]
        self.possible = {identifier: {there.get(identifier)} for identifier in self.possible}
        return found
