"""The lock-out guard: refuses rules that would make a Mac unmanageable. Pure.

A Mac whose device management agent or Santa itself is blocked can no longer be repaired remotely. Such a rule
is refused unless the request overrides the check. A CEL rule is not checked: its result is known only at the
execution.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from santaserver.enrollment.essentials import LIFELINES
from santaserver.errors import FieldProblem, Unprocessable

BLOCKING = frozenset({"BLOCKLIST", "SILENT_BLOCKLIST", "SILENT_GUI_BLOCKLIST", "SILENT_TTY_BLOCKLIST"})
AGREEMENT = 2
"""Macs that have to claim the same signature of a program before it is accepted."""
OVERRIDE = "override_guard"
"""The request's field that overrides the check."""

APPLE_LIFELINES = {"platform:com.apple.mdmclient": "macOS's own device management"}
TEAM_LIFELINES = {essential.team_id: f"{essential.name} ({essential.use})" for essential in LIFELINES}


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a program; empty texts for what is not known."""

    team_id: str
    signing_id: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The Macs that claim the same signer of a program."""

    signer: Signer
    macs: frozenset[int]


def signer_named_by(rule_type: str, identifier: str) -> Signer | None:
    """Return the signer that a rule's identifier names; hashes name none."""
    if rule_type == "TEAMID":
        return Signer(identifier, "")
    if rule_type == "SIGNINGID":
        return Signer(identifier.partition(":")[0], identifier)
    return None


def endangered(policy: str, signers: Iterable[Signer]) -> str | None:
    """Return what a rule with this policy for programs of these signers would block that a Mac needs."""
    if policy not in BLOCKING:
        return None
    for signer in signers:
        needed = _lifeline(signer)
        if needed is not None:
            return needed
    return None


def endangered_by_name(policy: str, rule_type: str, identifier: str) -> str | None:
    """Return the same for a rule whose target names the signer."""
    named = signer_named_by(rule_type, identifier)
    return endangered(policy, [named]) if named else None


def believed(claims: Iterable[Claim], fleet: int) -> list[Signer]:
    """Return the signers among these that a Mac needs, if enough Macs agree that one of them signed it.

    More Macs have to say so than say otherwise, and at least two, unless there is only one.
    """
    needed: list[Signer] = []
    agreeing: set[int] = set()
    others: set[int] = set()
    for claim in claims:
        if _lifeline(claim.signer) is None:
            others |= claim.macs
        else:
            needed.append(claim.signer)
            agreeing |= claim.macs
    enough = len(agreeing) >= max(1, min(AGREEMENT, fleet)) and len(agreeing) > len(others)
    return needed if enough else []


def _lifeline(signer: Signer) -> str | None:
    return TEAM_LIFELINES.get(signer.team_id) or APPLE_LIFELINES.get(signer.signing_id)


def refusal(needed: str) -> Unprocessable:
    """Return the error for a refused rule."""
    return Unprocessable(
        f"This would block {needed}, which can cut Macs off from management; nothing was stored. "
        f"Set {OVERRIDE} to save it anyway",
        errors=(
            FieldProblem(field="identifier", message=f"Blocking this locks Macs out: it is {needed}."),
            FieldProblem(field=OVERRIDE, message="Set it to true to save the rule anyway"),
        ),
    )
