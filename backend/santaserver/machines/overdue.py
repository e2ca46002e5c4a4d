"""When a Mac is overdue: it has missed three of the syncs that its own settings ask for.

The interval is the one that the Mac was told at its last preflight: that of its layers at the policy
number of that sync. A change since then reaches it with its next sync only.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Integer, and_, case, cast, func, literal, or_, select

from santaserver.models import MachineSync, PolicyHead, PolicySignature, SettingVersion
from santaserver.models.policy import GLOBAL_LAYER
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
    """Return a machine's interval; the precedence of layers is that of rule_log.py."""
    head = select(PolicyHead.seq).scalar_subquery()
    told = func.coalesce(MachineSync.pending_seq, MachineSync.acked_seq, head)
    rank = func.coalesce(func.array_position(PolicySignature.layers, SettingVersion.layer_id), 0)
    found = (
        select(_seconds())
        .select_from(SettingVersion)
        .outerjoin(PolicySignature, PolicySignature.id == MachineSync.signature)
        .where(
            SettingVersion.key == KEY,
            or_(
                SettingVersion.layer_id == func.any(PolicySignature.layers),
                and_(PolicySignature.id.is_(None), SettingVersion.layer_id == GLOBAL_LAYER),
            ),
            SettingVersion.opened_seq <= told,
            or_(SettingVersion.closed_seq.is_(None), SettingVersion.closed_seq > told),
        )
        .order_by(SettingVersion.locked.desc(), case((SettingVersion.locked, -rank), else_=rank).desc())
        .limit(1)
        .correlate(MachineSync)
        .scalar_subquery()
    )
    return func.coalesce(found, DEFAULT)
