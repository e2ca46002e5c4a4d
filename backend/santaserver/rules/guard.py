"""The lock-out guard: refuses rules that would cut a Mac off from whoever could repair it. Pure.

A Mac whose device management or Santa itself is blocked cannot be helped from afar any more. Such a
rule is refused unless the request says that it is meant. A CEL rule is not judged: what it answers
is known only at the execution.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from santaserver.enrollment.essentials import LIFELINES
from santaserver.errors import FieldProblem, Unprocessable

BLOCKING = frozenset({"BLOCKLIST", "SILENT_BLOCKLIST", "SILENT_GUI_BLOCKLIST", "SILENT_TTY_BLOCKLIST"})
OVERRIDE = "override_guard"
"""The request's field that says that it is meant."""

APPLE_LIFELINES = {"platform:com.apple.mdmclient": "macOS's own device management"}
TEAM_LIFELINES = {essential.team_id: f"{essential.name} ({essential.use})" for essential in LIFELINES}


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a program; empty texts for what is not known."""

    team_id: str
    signing_id: str


def signer_named_by(rule_type: str, identifier: str) -> Signer | None:
    """Return whom a rule's target names by itself; hashes name nobody."""
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
        needed = TEAM_LIFELINES.get(signer.team_id) or APPLE_LIFELINES.get(signer.signing_id)
        if needed is not None:
            return needed
    return None


def refusal(needed: str) -> Unprocessable:
    """Return the answer for a rule that is not allowed to pass."""
    return Unprocessable(
        f"This would block {needed}, so that Macs may not be reached any more; nothing was stored. "
        f"Set {OVERRIDE} if it is meant",
        errors=(
            FieldProblem(field="identifier", message=f"Blocking this locks Macs out: it is {needed}."),
            FieldProblem(field=OVERRIDE, message="Set it to true to save the rule anyway"),
        ),
    )
