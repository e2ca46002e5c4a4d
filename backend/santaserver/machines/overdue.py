"""When a Mac is overdue: it has missed three of the syncs that its own settings ask for.

The interval is the one that the Mac was told at its last preflight: that of its layers at the policy
number of that sync. A change since then reaches it with its next sync only.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Integer, case, cast, func, literal, literal_column, select

from santaserver.models import MachineSync, SettingVersion
from santaserver.policy.places import GLOBAL_LAYER
from santaserver.policy.precedence import in_force_at, precedence_in
from santaserver.sync_settings.schemas import SyncSettings

MISSED_SYNCS = 3
GRACE = timedelta(minutes=5)
KEY = "full_sync_interval"
DEFAULT: int = SyncSettings.model_fields[KEY].default


def overdue(now: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Return the expression for a machine that has been silent for too long."""
    seen = MachineSync.last_preflight_at
    # Most Macs are not even late by the shortest interval there ever was, so theirs is not looked up.
    return case((seen < _latest(now, _shortest()), seen < _latest(now, _interval())), else_=False)


def _latest(now: ColumnElement[datetime], interval: ColumnElement[int]) -> ColumnElement[datetime]:
    return now - literal(GRACE) - func.make_interval(0, 0, 0, 0, 0, 0, interval * MISSED_SYNCS)


def _seconds() -> ColumnElement[int]:
    return cast(SettingVersion.value, Integer)


def _shortest() -> ColumnElement[int]:
    found = select(func.min(_seconds())).where(SettingVersion.key == KEY).scalar_subquery()
    return func.least(DEFAULT, found)


def _interval() -> ColumnElement[int]:
    """Return a machine's interval, by its layers and the policy number that it was told last."""
    told = "coalesce(machine_sync.pending_seq, machine_sync.acked_seq, (select seq from policy_head))"
    found = f"""select v.value::integer from setting_version v
      left join policy_signature p on p.id = machine_sync.signature
      where v.key = '{KEY}' and {in_force_at(told)}
        and (v.layer_id = any(p.layers) or (p.id is null and v.layer_id = {GLOBAL_LAYER}))
      order by {precedence_in("p.layers")} limit 1"""  # noqa: S608 - constants
    return literal_column(f"coalesce(({found}), {DEFAULT})", Integer)
