"""Explains why a target's rule wins or not; policy/precedence.py decides which. Pure."""

from dataclasses import dataclass

from santaserver.explain.delivery import why_not_sent
from santaserver.policy.capabilities import Capabilities
from santaserver.policy.rule_text import MASK


@dataclass(frozen=True, slots=True)
class Claim:
    """A rule in one layer; `rank` is the layer's place among the machine's."""

    rank: int
    rule_type: str
    policy: str
    locked: bool
    needs_level: int


@dataclass(frozen=True, slots=True)
class Ruling:
    """The outcome of a rule."""

    outcome: str
    why: str


def sent_policy(claim: Claim | None, client: Capabilities) -> str | None:
    """Return the policy that a client is sent for the winning claim."""
    return None if claim is None else client.policy(claim.rule_type, claim.policy, claim.needs_level)


def rule_on(claim: Claim, best: Claim, client: Capabilities, name: str) -> Ruling:
    """Return the outcome of a rule beside the winning one."""
    if claim is not best:
        return Ruling("loses", _why_it_loses(claim, best))
    if claim.policy == MASK:
        return Ruling("masks", "It masks the rules of lower layers")
    sent = sent_policy(claim, client)
    if sent is None:
        why = why_not_sent(client, name, claim.rule_type, claim.policy, claim.needs_level)
        return Ruling("not_supported", why)
    reason = (
        "It is locked, in the lowest layer with a locked rule"
        if claim.locked
        else "It is in the highest layer"
    )
    if sent != claim.policy:
        return Ruling("wins", f"{reason}; {name} gets {sent} instead")
    return Ruling("wins", reason)


def _why_it_loses(claim: Claim, best: Claim) -> str:
    if best.locked and claim.locked:
        return "A lower layer's rule is locked too, and among locked rules the lowest layer wins"
    return "A locked rule cannot be overridden" if best.locked else "A higher layer has a rule for the target"
