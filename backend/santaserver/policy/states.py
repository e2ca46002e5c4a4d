"""The state that a machine should have, and the counts of its rule table. Plain values."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What a machine should have: a function of its signature at a policy number."""

    signature: int
    seq: int


class RuleCounts(NamedTuple):
    """Rows of a rule table by type; binary without transitive ones."""

    binary: int = 0
    certificate: int = 0
    teamid: int = 0
    signingid: int = 0
    cdhash: int = 0

    @property
    def total(self) -> int:
        """Of all types."""
        return self.binary + self.certificate + self.teamid + self.signingid + self.cdhash
