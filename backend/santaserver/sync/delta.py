"""Turns winners of the policy log into what a Mac is sent. Pure; algorithm E, step 3."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from santaserver.sync.capabilities import deliverable_policy
from santaserver.sync.states import PolicyState
from santaserver.sync.wire import RuleAnswer

Key = tuple[str, str]
"""A target: (rule type, identifier)."""

TOMBSTONE = RuleAnswer(
    identifier=hashlib.sha256(b"SantaServer: no rules").hexdigest(), policy="REMOVE", rule_type="BINARY"
)
"""Sent when a clean sync has no rule to send: a clean download without rules would change nothing."""


@dataclass(frozen=True, slots=True)
class Winner:
    """The rule that is in force for a target; `policy` None means that there is none."""

    rule_type: str
    identifier: str
    policy: str | None
    cel_expr: str | None = None
    custom_msg: str = ""
    custom_url: str = ""
    needs_level: int = 0

    @property
    def key(self) -> Key:
        """The target."""
        return self.rule_type, self.identifier


def render(winner: Winner, level: int) -> RuleAnswer | None:
    """Return the rule as a machine of `level` is sent it, or None when it can have none."""
    policy = deliverable_policy(winner.policy, winner.needs_level, level) if winner.policy else None
    if policy is None:
        return None
    return RuleAnswer(
        identifier=winner.identifier,
        policy=policy,
        rule_type=winner.rule_type,
        custom_msg=winner.custom_msg,
        custom_url=winner.custom_url,
        cel_expr=winner.cel_expr or "",
    )


def changes(winners: Iterable[Winner], level: int) -> list[RuleAnswer]:
    """Render a normal sync: the rule in force, or its removal."""
    return [
        render(winner, level)
        or RuleAnswer(identifier=winner.identifier, policy="REMOVE", rule_type=winner.rule_type)
        for winner in winners
    ]


def whole_set(winners: Iterable[Winner], level: int) -> list[RuleAnswer]:
    """Render a clean sync: every rule the machine can have."""
    return [rule for rule in (render(winner, level) for winner in winners) if rule is not None]


def differing_keys(before: Mapping[Key, RuleAnswer], after: Mapping[Key, RuleAnswer]) -> set[Key]:
    """Return the targets whose rule is not the same in two rendered sets."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def earliest_seq(bases: Sequence[PolicyState], target: PolicyState) -> int | None:
    """Return the number since which changes must be sent when all bases share the target's signature.

    Changes since the earliest base cover the later ones. None: a signature differs, so whole sets
    have to be compared.
    """
    if any(base.signature != target.signature for base in bases):
        return None
    return min((base.seq for base in bases), default=0)
