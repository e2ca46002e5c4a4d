"""Machines in the database, as the REST interface reads them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Integer,
    ScalarSelect,
    Select,
    String,
    case,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.db import Connection
from santaserver.machines.overdue import overdue
from santaserver.models import (
    Layer,
    Machine,
    MachineSerial,
    MachineSync,
    MonitorWindow,
    PolicyHeadRow,
    PolicySignature,
    SyncSession,
    Tag,
    TagMember,
)
from santaserver.paging import like_pattern
from santaserver.reads import Row, Statement, parameter


class MachineRow(NamedTuple):
    """A machine and how far it is."""

    machine: Machine
    progress: MachineSync


NOW = parameter("now", DateTime(timezone=True))

CONFLICT_SHOWN = timedelta(hours=24)
"""How long a machine id that two serial numbers used counts as drifted."""


def sync_state() -> ColumnElement[str]:
    """Return the expression for a machine's sync state at NOW; the first that holds."""
    head = select(PolicyHeadRow.seq).scalar_subquery()
    return case(
        (MachineSync.last_postflight_at.is_(None), "never"),
        (overdue(NOW), "overdue"),
        (
            or_(MachineSync.drift_held, Machine.identity_conflict_at > NOW - literal(CONFLICT_SHOWN)),
            "drifted",
        ),
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


def _tags() -> ScalarSelect[list[str] | None]:
    """Return the names of the tags in a machine's signature, the lowest first."""
    member = (
        func.unnest(PolicySignature.layers).table_valued("layer_id", with_ordinality="place").render_derived()
    )
    return (
        select(func.array_agg(aggregate_order_by(Tag.name, member.c.place)))
        .select_from(PolicySignature)
        .join(member, true())
        .join(Layer, Layer.id == member.c.layer_id)
        .join(Tag, Tag.id == Layer.tag_id)
        .where(PolicySignature.id == MachineSync.signature)
        .correlate(MachineSync)
        .scalar_subquery()
    )


def _base() -> Select[*tuple[Any, ...]]:
    newest = (
        select(SyncSession)
        .where(SyncSession.machine_id == Machine.id)
        .order_by(SyncSession.id.desc())
        .limit(1)
        .lateral()
    )
    return (
        select(
            *(Machine.machine_id, Machine.serial, Machine.hostname, Machine.model, Machine.os_version),
            *(Machine.os_build, Machine.santa_version, Machine.primary_user, Machine.client_mode),
            *(Machine.enrolled_at, Machine.binary_rules, Machine.certificate_rules, Machine.teamid_rules),
            *(Machine.signingid_rules, Machine.cdhash_rules, Machine.compiler_rules),
            *(Machine.transitive_rules, MachineSync.monitor_until, MachineSync.queued_clean),
            *(MachineSync.last_preflight_at, MachineSync.last_postflight_at, MachineSync.last_clean_at),
            *(MachineSync.pending_session, MachineSync.pending_sent, MachineSync.signature),
            *(newest.c.kind, newest.c.clean_reason, newest.c.sent_count, newest.c.received_count),
            *(newest.c.processed_count, newest.c.started_at, newest.c.finished_at),
            newest.c.state.label("session_state"),
            newest.c.id.label("session_id"),
            Machine.id.label("row_id"),
            sync_state().label("sync_state"),
            func.coalesce(_tags(), literal([], ARRAY(String))).label("tags"),
        )
        .select_from(Machine)
        .join(MachineSync, MachineSync.machine_id == Machine.id)
        .outerjoin(newest, true())
    )


@cache
def _list(*, after: bool, text: bool) -> Statement:
    query = _base().order_by(Machine.hostname, Machine.id).limit(parameter("limit", Integer()))
    if after:
        place = tuple_(parameter("hostname", String()), parameter("row", BigInteger()))
        query = query.where(tuple_(Machine.hostname, Machine.id) > place)
    if text:
        pattern = parameter("pattern", String())
        columns = (Machine.hostname, Machine.serial, Machine.machine_id, Machine.primary_user, Machine.model)
        query = query.where(or_(*(column.ilike(pattern) for column in columns)))
    return Statement(query)


@cache
def _one() -> Statement:
    return Statement(_base().where(Machine.machine_id == parameter("machine_id", String())))


async def list_machines(
    connection: Connection, now: datetime, after: tuple[str, int] | None, limit: int, text: str
) -> Sequence[Row]:
    """Return machines by host name, after the given (host name, row id)."""
    values: dict[str, object] = {"now": now, "limit": limit}
    if after is not None:
        values |= {"hostname": after[0], "row": after[1]}
    searched = bool(text.strip())
    if searched:
        values["pattern"] = like_pattern(text)
    return await _list(after=after is not None, text=searched).fetch(connection, **values)


async def read_machine(connection: Connection, machine_id: str, now: datetime) -> Row:
    """Return one machine as a list shows it; it has to be there."""
    (row,) = await _one().fetch(connection, machine_id=machine_id, now=now)
    return row


async def find_machine(session: AsyncSession, machine_id: str) -> MachineRow | None:
    """Return one machine with its progress."""
    query = (
        select(Machine, MachineSync)
        .join(MachineSync, MachineSync.machine_id == Machine.id)
        .where(Machine.machine_id == machine_id)
    )
    row = (await session.execute(query)).one_or_none()
    return MachineRow(*row) if row else None


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


@cache
def _memberships() -> Statement:
    sources = func.array_agg(aggregate_order_by(TagMember.source, TagMember.source)).label("sources")
    machine = parameter("machine_id", String())
    return Statement(
        select(Tag.id, Tag.name, sources, func.min(TagMember.joined_at).label("joined_at"))
        .select_from(Machine)
        .outerjoin(TagMember, (TagMember.machine_id == Machine.id) & TagMember.left_at.is_(None))
        .outerjoin(Tag, (Tag.id == TagMember.tag_id) & Tag.removed_at.is_(None))
        .outerjoin(Layer, Layer.tag_id == Tag.id)
        .where(Machine.machine_id == machine)
        .group_by(Tag.id, Layer.rank)
        .order_by(Layer.rank.desc())
    )


async def memberships(connection: Connection, machine_id: str) -> Sequence[Row] | None:
    """Return the tags of a machine with the reasons for each, the highest first; None without a machine."""
    rows = await _memberships().fetch(connection, machine_id=machine_id)
    return [row for row in rows if row["id"] is not None] if rows else None


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
