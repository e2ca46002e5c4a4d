"""What a request is told that would block what Macs need: who, why, which Macs, what to do. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from santaserver.errors import FieldProblem, Unprocessable
from santaserver.policy.guard import ALLOWED_PATH, BLOCKED_PATH, MODE, Cause, Finding, Severity

OVERRIDE = "override_guard"
"""The request's field that overrides the check."""
SHOWN = 5
"""Findings of a kind that a message names."""
MAX_VALUE = 80


class Report(Struct, frozen=True):
    """A lifeline that is blocked for the same reason on some Macs."""

    severity: Severity
    lifeline: str
    cause: Cause
    layer: str
    """The layer's name; empty for a default."""
    later: datetime | None
    """When it begins; None for now."""
    macs: int
    names: tuple[str, ...]
    other: str = ""
    """The layer that Macs may get by their own reports."""

    @property
    def text(self) -> str:
        """One sentence."""
        verb = {
            "refused": "would be blocked",
            "advised": "would be blocked",
            "uncertain": "may be blocked",
            "known": "is blocked already",
            "possible": "would be blocked",
        }[self.severity]
        when = f" from {self.later:%Y-%m-%d %H:%M} UTC on" if self.later else ""
        text = f"{self.lifeline} {verb}{when} on {self._macs()}: {self.why}"
        return text if not self.other else f"{text}. The tag is withheld from such Macs"

    def _macs(self) -> str:
        if self.other:
            return f"Macs that get {self.other} by their own report besides their other tags"
        if self.macs == 0:
            return f"any Mac that gets {self.layer or 'these settings'}; there is none yet"
        number = "1 Mac" if self.macs == 1 else f"{self.macs} Macs"
        more = ", …" if self.macs > len(self.names) else ""
        return f"{number} ({', '.join(self.names)}{more})" if self.names else number

    @property
    def why(self) -> str:
        """What decides."""
        cause, place = self.cause, f"in {self.layer}" if self.layer else "by default"
        if cause.rule_type == MODE:
            return f"no rule allows it, and the mode is {cause.identifier} {place}"
        if cause.rule_type in {BLOCKED_PATH, ALLOWED_PATH}:
            return f"no rule decides about it, and {cause.rule_type} {place} is {_short(cause.identifier)}"
        locked = "locked " if cause.locked else ""
        return f"the {locked}{cause.rule_type} rule {_short(cause.identifier)} ({cause.policy}) {place} wins"


def reports(
    findings: Iterable[Finding],
    names: Mapping[int, str],
    macs: Mapping[tuple[object, ...], tuple[int, tuple[str, ...]]],
    now: datetime,
) -> list[Report]:
    """Put findings with the same reason together; `macs` has the Macs of each reason."""
    found: dict[tuple[object, ...], Report] = {}
    for finding in findings:
        reason = reason_of(finding)
        known = found.get(reason)
        later = finding.at if finding.at > now else None
        if known is not None and (known.later is None or (later is not None and later >= known.later)):
            continue
        number, shown = macs[reason]
        layer = names.get(finding.cause.layer, "") if finding.cause.layer is not None else ""
        other = names.get(-(finding.move.source or 0), "") if finding.move.is_possible else ""
        found[reason] = Report(
            finding.severity, finding.lifeline.title, finding.cause, layer, later, number, shown, other
        )
    return list(found.values())


def reason_of(finding: Finding) -> tuple[object, ...]:
    """Return what findings have in common that are told as one."""
    other = finding.move.source if finding.move.is_possible else None
    return finding.severity, finding.lifeline.name, finding.cause, other


def refusal(refused: list[Report], field: str) -> Unprocessable:
    """Return the error for a change that would lock Macs out."""
    told = [report.text for report in refused[:SHOWN]]
    more = f"; and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
    return Unprocessable(
        f"This change would block what Macs need, so nothing was stored. {'; '.join(told)}{more}. "
        f"Allow it with a rule first, or set {OVERRIDE}=true to save the change anyway",
        errors=(
            *(FieldProblem(field=field, message=text) for text in told),
            FieldProblem(field=OVERRIDE, message="Set it to true to save the change anyway"),
        ),
    )


def _short(text: str) -> str:
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"
