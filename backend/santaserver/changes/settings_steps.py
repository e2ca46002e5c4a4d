"""What taking back a change does to the settings of a layer. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from santaserver.changes.repository import SettingRow
from santaserver.changes.schemas import WhyConflict
from santaserver.sync_settings.schemas import SyncSettings

Owned = tuple[Any, bool]
"""(value, locked)"""
Action = Literal["add", "change", "remove", "same", "conflict"]


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one setting."""

    key: str
    action: Action
    now: Owned | None
    wanted: Owned | None
    why: WhyConflict | None = None


def steps(rows: Sequence[SettingRow], live: Mapping[str, Owned]) -> list[Step]:
    """Compare what a change did with what a layer has now."""
    return [_step(row, live.get(row.key)) for row in rows]


def restored(found: Sequence[Step], live: Mapping[str, Owned]) -> dict[str, Owned]:
    """Return a layer's settings after these steps; conflicts leave what is there."""
    after = dict(live)
    for step in found:
        if step.action in {"same", "conflict"}:
            continue
        if step.wanted is None:
            del after[step.key]
        else:
            after[step.key] = step.wanted
    return after


def _step(row: SettingRow, now: Owned | None) -> Step:
    why = _why(row, now)
    action: Action
    if now == row.before:
        action, why = "same", None
    elif why:
        action = "conflict"
    elif row.before is None:
        action = "remove"
    else:
        action = "add" if now is None else "change"
    return Step(row.key, action, now, row.before, why)


def _why(row: SettingRow, now: Owned | None) -> WhyConflict | None:
    if row.layer_gone:
        return "layer_gone"
    if now != row.after:
        return "changed"
    if row.before is not None and not _is_valid(row.key, row.before[0]):
        return "unknown_setting"
    return None


def _is_valid(key: str, value: object) -> bool:
    if key not in SyncSettings.model_fields:
        return False
    try:
        SyncSettings.model_validate({key: value})
    except ValidationError:
        return False
    return True
