"""Counts for the overview, all in one statement."""

from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from msgspec import Struct, json
from sqlalchemy import ColumnElement, DateTime, ScalarSelect, String, cast, func, select

from santaserver.db import Connection
from santaserver.events.repository import GROUPS
from santaserver.machines.repository import sync_state
from santaserver.models import EventHour, Machine, MachineSync, Rule
from santaserver.reads import Statement, parameter


class Counts(NamedTuple):
    """Events of one hour. `unknown` counts what no rule matched, so it overlaps with the next two."""

    unknown: int = 0
    blocked: int = 0
    allowed: int = 0
    allowed_unknown: int = 0
    total: int = 0


class Fleet(Struct):
    """What the overview is made of."""

    states: dict[str, int]
    modes: dict[str, int]
    rules: int
    hours: dict[datetime, Counts]


async def count_everything(connection: Connection, now: datetime, since: datetime) -> Fleet:
    """Count Macs by sync state and mode, live rules, and events by the hour, in UTC, since `since`."""
    (row,) = await _everything().fetch(connection, now=now, since=since)
    states, modes, rules, hours = row
    counted = json.decode(hours, type=list[tuple[datetime, int, int, int, int, int]])
    return Fleet(
        states=json.decode(states, type=dict[str, int]),
        modes=json.decode(modes, type=dict[str, int]),
        rules=rules,
        hours={hour: Counts(*numbers) for hour, *numbers in counted},
    )


@cache
def _everything() -> Statement:
    rules = select(func.count()).select_from(Rule).where(Rule.removed_at.is_(None)).scalar_subquery()
    return Statement(select(_states(), _modes(), rules, _hours()))


def _states() -> ScalarSelect[str]:
    states = (
        select(sync_state().label("state"))
        .select_from(Machine)
        .join(MachineSync, MachineSync.machine_id == Machine.id)
        .subquery()
    )
    groups = select(states.c.state, func.count().label("macs")).group_by(states.c.state).subquery()
    return _text(func.json_object_agg(groups.c.state, groups.c.macs), "{}")


def _modes() -> ScalarSelect[str]:
    mode = Machine.client_mode
    groups = select(mode, func.count().label("macs")).where(mode != "").group_by(mode).subquery()
    return _text(func.json_object_agg(groups.c.client_mode, groups.c.macs), "{}")


def _hours() -> ScalarSelect[str]:
    total = func.coalesce(func.sum(EventHour.events), 0)
    groups = (GROUPS["unknown"], GROUPS["blocked"], GROUPS["allowed"], ("ALLOW_UNKNOWN",))
    sums = [
        func.coalesce(func.sum(EventHour.events).filter(EventHour.decision.in_(words)), 0) for words in groups
    ]
    counted = (
        select(func.json_build_array(EventHour.hour, *sums, total).label("numbers"))
        .where(EventHour.hour >= parameter("since", DateTime(timezone=True)))
        .group_by(EventHour.hour)
        .subquery()
    )
    return _text(func.json_agg(counted.c.numbers), "[]")


def _text(document: ColumnElement[Any], otherwise: str) -> ScalarSelect[str]:
    """Have PostgreSQL write a document as text, which the driver hands on as it is."""
    return select(func.coalesce(cast(document, String), otherwise)).scalar_subquery()
