"""What the policy log says about a change: how much it changed, and whether it can be taken back. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REVERTIBLE = frozenset({"rule", "import", "settings", "revert"})
_WHY_NOT: Mapping[str, str] = {
    "schedule": "Rules began or ended at the time that was set for them; make or change the rule instead",
    "tag": "Tags, with their rules and settings, cannot be taken back yet; change or create the tag instead",
    "tag_order": "The order of tags cannot be taken back yet; set the order again instead",
    "enrollment": "The tags of an enrollment cannot be taken back yet; change the enrollment instead",
    "restore": "A backup was restored; Macs that have synced since cannot be set back to before it",
    "membership": "Memberships cannot be taken back yet; add or remove the tag on the Macs instead",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rules and settings a change touched; None: the log does not say."""

    added: int | None = None
    changed: int | None = None
    removed: int | None = None
    settings: int | None = None


def why_not(kind: str) -> str:
    """Return why a change of this kind cannot be taken back; empty when it can."""
    if kind in REVERTIBLE:
        return ""
    return _WHY_NOT.get(kind, f"This version cannot take back a change of the kind {kind}")


def counted(kind: str, summary: Mapping[str, Any]) -> Counts:
    """Read the counts that a change wrote down when it was made."""
    if kind == "rule":
        action = summary.get("action")
        return Counts(int(action == "created"), int(action == "changed"), int(action == "removed"), 0)
    if kind == "schedule":
        return Counts(int(summary.get("activated", 0)), 0, int(summary.get("expired", 0)), 0)
    if kind in REVERTIBLE:
        added, changed, removed = (int(summary.get(name, 0)) for name in ("adds", "changes", "removes"))
        return Counts(added, changed, removed, len(summary.get("settings", ())))
    return Counts()
