"""Decides which of a target's rules wins, and says why. Pure; product rules as in rule_log.PRECEDENCE."""

from collections.abc import Sequence
from dataclasses import dataclass

from santaserver.sync.capabilities import OLDER_POLICY, Level
from santaserver.sync.delta import MASK


@dataclass(frozen=True, slots=True)
class Claim:
    """A rule in one layer; `rank` is the layer's place among the machine's."""

    rank: int
    policy: str
    locked: bool
    needs_level: int


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of a claim."""

    outcome: str
    why: str


def winner(claims: Sequence[Claim]) -> Claim | None:
    """Return the claim in force: the lowest locked one, without a locked one the highest."""
    locked = [claim for claim in claims if claim.locked]
    if locked:
        return min(locked, key=lambda claim: claim.rank)
    return max(claims, key=lambda claim: claim.rank, default=None)


def sent_policy(claim: Claim | None, level: int) -> str | None:
    """Return the policy that a Mac of `level` is sent for the winning claim."""
    if claim is None or claim.policy == MASK or claim.needs_level > level:
        return None
    if level < Level.SILENT_CHANNELS:
        return OLDER_POLICY.get(claim.policy, claim.policy)
    return claim.policy


def rule_on(claim: Claim, best: Claim, level: int) -> Ruling:
    """Say what becomes of a claim beside the winning one."""
    if claim is not best:
        return Ruling("loses", _why_it_loses(claim, best))
    if claim.policy == MASK:
        return Ruling("masks", "It takes the target's rules away and puts nothing in their place")
    sent = sent_policy(claim, level)
    if sent is None:
        return Ruling("not_supported", "The Mac's Santa release cannot compile the expression")
    reason = "It is locked, in the lowest layer that locks" if claim.locked else "It is in the highest layer"
    if sent != claim.policy:
        return Ruling("wins", f"{reason}; the Mac's Santa release gets {sent} in its place")
    return Ruling("wins", reason)


def _why_it_loses(claim: Claim, best: Claim) -> str:
    if best.locked and claim.locked:
        return "A lower layer's rule is locked too, and among locked ones the lowest wins"
    return "A locked rule cannot be overridden" if best.locked else "A higher layer has a rule for the target"
