"""What is said about a change that cannot be taken back as a whole. Pure."""

from collections.abc import Mapping, Sequence

from santaserver.changes.schemas import RevertConflict, WhyConflict

NAMED = 5
"""Conflicts that an error names."""

WHY: Mapping[WhyConflict, str] = {
    "changed": "It has been changed again since",
    "layer_gone": "Its layer no longer exists",
    "expired": "The time until which it was to hold has passed",
    "started": "The time at which it was to start has passed",
    "in_force": "It is in force now, so it cannot wait for its start again",
    "unknown_setting": "This version does not have the setting, or does not take the value",
}


def told(conflicts: Sequence[RevertConflict], total: int) -> str:
    """Return the error for conflicts that nobody has agreed to leave as they are."""
    shown = "; ".join(_told(one) for one in conflicts[:NAMED])
    more = f"; and {total - NAMED} more" if total > NAMED else ""
    return (
        f"{total} of what this change did cannot be taken back, so nothing was stored. {shown}{more}. "
        "Review the plan, then take back the rest with skip_conflicts, or change these by hand"
    )


def _told(conflict: RevertConflict) -> str:
    name = f"{conflict.rule_type} {conflict.identifier}" if conflict.rule_type else conflict.identifier
    by = ""
    if conflict.seq is not None and conflict.at is not None:
        by = f" (change {conflict.seq} of {conflict.actor_name}, {conflict.at:%Y-%m-%d %H:%M:%S} UTC)"
    return f"{conflict.layer}, {name}: {conflict.message[0].lower()}{conflict.message[1:]}{by}"
