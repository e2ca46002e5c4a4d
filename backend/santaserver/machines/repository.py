"""Machines in the database, as the REST interface reads them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, case, func, or_, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from santaserver.machines.overdue import overdue
from santaserver.models import (
    Layer,
    Machine,
    MachineSerial,
    MachineSync,
    MonitorWindow,
    PolicyHead,
    PolicySignature,
    SyncSession,
    Tag,
    TagMember,
)
from santaserver.paging import like_pattern


class MachineRow(NamedTuple):
    """A machine, how far it is, its newest sync that sent something, and its sync state."""

    machine: Machine
    progress: MachineSync
    newest: SyncSession | None
    state: str


CONFLICT_SHOWN = timedelta(hours=24)
"""How long a machine id that two serial numbers used counts as drifted."""


def sync_state(now: datetime) -> ColumnElement[str]:
    """Return the expression for a machine's sync state; the first that holds."""
    head = select(PolicyHead.seq).scalar_subquery()
    return case(
        (MachineSync.last_postflight_at.is_(None), "never"),
        (overdue(now), "overdue"),
        (or_(MachineSync.drift_held, Machine.identity_conflict_at > now - CONFLICT_SHOWN), "drifted"),
        (
            or_(
                MachineSync.acked_seq.is_(None),
                MachineSync.acked_seq < head,
                MachineSync.facts_key.is_(None),  # its layers are looked up at its next preflight
                MachineSync.pending_kind.in_(("clean", "clean_all")),
            ),
            "pending",
        ),
        else_="in_sync",
    )


def _base(now: datetime) -> Select[Machine, MachineSync, SyncSession, str]:
    newest = (
        select(SyncSession)
        .where(SyncSession.machine_id == Machine.id)
        .order_by(SyncSession.id.desc())
        .limit(1)
        .lateral()
    )
    return (
        select(Machine, MachineSync, aliased(SyncSession, newest), sync_state(now))
        .select_from(Machine)
        .join(MachineSync, MachineSync.machine_id == Machine.id)
        .outerjoin(newest, true())
    )


async def list_machines(
    session: AsyncSession,
    now: datetime,
    after: tuple[str, int] | None,
    limit: int,
    text: str,
) -> Sequence[MachineRow]:
    """Return machines by host name, after the given (host name, row id)."""
    query = _base(now).order_by(Machine.hostname, Machine.id).limit(limit)
    if after is not None:
        query = query.where(tuple_(Machine.hostname, Machine.id) > tuple_(*after))
    if text.strip():
        pattern = like_pattern(text)
        columns = (Machine.hostname, Machine.serial, Machine.machine_id, Machine.primary_user, Machine.model)
        query = query.where(or_(*(column.ilike(pattern) for column in columns)))
    return [MachineRow(*row) for row in await session.execute(query)]


async def find_machine(session: AsyncSession, machine_id: str, now: datetime) -> MachineRow | None:
    """Return one machine."""
    row = (await session.execute(_base(now).where(Machine.machine_id == machine_id))).one_or_none()
    return MachineRow(*row) if row else None


async def head_seq(session: AsyncSession) -> int:
    """Return the number of the newest policy change."""
    return (await session.execute(select(PolicyHead.seq))).scalar_one()


async def serials_of(session: AsyncSession, row_id: int) -> Sequence[MachineSerial]:
    """Return the serial numbers that a machine id was used with."""
    return (await session.scalars(select(MachineSerial).where(MachineSerial.machine_id == row_id))).all()


async def queue_clean(session: AsyncSession, row_id: int, kind: str) -> None:
    """Order a clean sync; the stronger of two orders stays."""
    await session.execute(
        update(MachineSync)
        .where(MachineSync.machine_id == row_id)
        .values(queued_clean=case((MachineSync.queued_clean == "clean_all", "clean_all"), else_=kind))
    )


async def tags_of(session: AsyncSession, signatures: set[int]) -> dict[int, list[str]]:
    """Return the names of the tags in each signature, the lowest first."""
    member = (
        func.unnest(PolicySignature.layers).table_valued("layer_id", with_ordinality="place").render_derived()
    )
    query = (
        select(PolicySignature.id, Tag.name)
        .select_from(PolicySignature)
        .join(member, true())
        .join(Layer, Layer.id == member.c.layer_id)
        .join(Tag, Tag.id == Layer.tag_id)
        .where(PolicySignature.id.in_(signatures))
        .order_by(PolicySignature.id, member.c.place)
    )
    found: dict[int, list[str]] = {}
    for signature, name in await session.execute(query):
        found.setdefault(signature, []).append(name)
    return found


Membership = tuple[int, str, list[str], datetime]
"""(tag, its name, sources, earliest join)"""


async def memberships(session: AsyncSession, row_id: int) -> Sequence[Membership]:
    """Return the tags of a machine with the reasons for each, the highest first."""
    sources = func.array_agg(aggregate_order_by(TagMember.source, TagMember.source))
    query = (
        select(Tag.id, Tag.name, sources, func.min(TagMember.joined_at))
        .join(TagMember, TagMember.tag_id == Tag.id)
        .join(Layer, Layer.tag_id == Tag.id)
        .where(TagMember.machine_id == row_id, TagMember.left_at.is_(None), Tag.removed_at.is_(None))
        .group_by(Tag.id, Layer.rank)
        .order_by(Layer.rank.desc())
    )
    return [(row[0], row[1], list(row[2]), row[3]) for row in await session.execute(query)]


async def set_monitor_until(session: AsyncSession, row_id: int, until: datetime | None) -> None:
    """Say until when a machine's syncs answer MONITOR."""
    await session.execute(
        update(MachineSync).where(MachineSync.machine_id == row_id).values(monitor_until=until)
    )


async def end_monitor_windows(session: AsyncSession, row_id: int, user: int, now: datetime) -> None:
    """End the windows of a machine that are still open."""
    await session.execute(
        update(MonitorWindow)
        .where(
            MonitorWindow.machine_id == row_id,
            MonitorWindow.ended_at.is_(None),
            MonitorWindow.ends_at > now,
        )
        .values(ended_at=now, ended_by=user)
    )


async def count_states(session: AsyncSession, now: datetime) -> dict[str, int]:
    """Return how many machines are in each sync state."""
    states = (
        select(sync_state(now).label("state"))
        .select_from(Machine)
        .join(MachineSync, MachineSync.machine_id == Machine.id)
        .subquery()
    )
    query = select(states.c.state, func.count()).group_by(states.c.state)
    return {row[0]: row[1] for row in await session.execute(query)}


async def count_modes(session: AsyncSession) -> dict[str, int]:
    """Return how many machines report each client mode."""
    query = (
        select(Machine.client_mode, func.count())
        .where(Machine.client_mode != "")
        .group_by(Machine.client_mode)
    )
    return {row[0]: row[1] for row in await session.execute(query)}
