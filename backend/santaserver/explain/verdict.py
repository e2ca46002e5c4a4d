"""Explains why a target's rule wins or not; policy/precedence.py decides which. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from santaserver.explain.delivery import why_not_sent
from santaserver.policy.capabilities import Capabilities
from santaserver.policy.targets import MASK


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


def winner(claims: Iterable[Claim], client: Capabilities) -> Claim | None:
    """Return the first of the claims, which are in the order of precedence, that a client can take."""
    return next((claim for claim in claims if _supports(client, claim)), None)


def sent_policy(claim: Claim | None, client: Capabilities) -> str | None:
    """Return the policy that a client is sent for the winning claim."""
    return None if claim is None else client.policy(claim.rule_type, claim.policy, claim.needs_level)


def rule_on(claim: Claim, best: Claim, client: Capabilities, name: str, *, skipped: bool) -> Ruling:
    """Return the outcome of a rule beside the winning one, with or without better ones that were skipped."""
    if not _supports(client, claim):
        why = why_not_sent(client, name, claim.rule_type, claim.policy, claim.needs_level)
        return Ruling("not_supported", why)
    if claim is not best:
        return Ruling("loses", _why_it_loses(claim, best))
    if claim.policy == MASK:
        return Ruling("masks", "It masks the rules of lower layers")
    sent = sent_policy(claim, client)
    if skipped:
        reason = f"It is the first in the order of precedence that {name} supports"
    elif claim.locked:
        reason = "It is locked, in the lowest layer with a locked rule"
    else:
        reason = "It is in the highest layer"
    if sent != claim.policy:
        return Ruling("wins", f"{reason}; {name} gets {sent} instead")
    return Ruling("wins", reason)


def _supports(client: Capabilities, claim: Claim) -> bool:
    return claim.policy == MASK or sent_policy(claim, client) is not None


def _why_it_loses(claim: Claim, best: Claim) -> str:
    if best.locked and claim.locked:
        return "A lower layer's rule is locked too, and among locked rules the lowest layer wins"
    return "A locked rule cannot be overridden" if best.locked else "A higher layer has a rule for the target"
