"""Tags, their order and their members in the database."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    delete,
    func,
    insert,
    select,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from santaserver.db import Connection
from santaserver.models import (
    EnrollmentRow,
    Layer,
    Machine,
    MachineSync,
    PolicySignature,
    Rule,
    RuleVersion,
    SettingVersion,
    Tag,
    TagEnrollment,
    TagMember,
    TagOrderVersion,
)
from santaserver.models.policy import MANUAL
from santaserver.reads import Row, Statement, parameter


class TagRow(NamedTuple):
    """A tag, its layer and what is counted of it."""

    tag: Tag
    layer: int
    rank: int
    enrollments: Sequence[int]
    members: int
    rules: int
    settings: int


def _base() -> Select[Tag, int, int, list[int] | None, int, int, int]:
    enrollments = (
        select(func.array_agg(aggregate_order_by(TagEnrollment.enrollment_id, TagEnrollment.enrollment_id)))
        .where(TagEnrollment.tag_id == Tag.id)
        .scalar_subquery()
    )
    members = (
        select(func.count(TagMember.machine_id.distinct()))
        .where(TagMember.tag_id == Tag.id, TagMember.left_at.is_(None))
        .scalar_subquery()
    )
    rules = (
        select(func.count())
        .where(Rule.layer_id == Layer.id, Rule.removed_at.is_(None))
        .correlate(Layer)
        .scalar_subquery()
    )
    settings = (
        select(func.count())
        .where(SettingVersion.layer_id == Layer.id, SettingVersion.closed_seq.is_(None))
        .correlate(Layer)
        .scalar_subquery()
    )
    return (
        select(
            Tag,
            Layer.id.label("layer_id"),
            Layer.rank,
            enrollments.label("enrollments"),
            members.label("members"),
            rules.label("rules"),
            settings.label("settings"),
        )
        .select_from(Tag)
        .join(Layer, Layer.tag_id == Tag.id)
        .where(Tag.removed_at.is_(None))
    )


async def list_tags(session: AsyncSession) -> list[TagRow]:
    """Return live tags in their order, the lowest first."""
    rows = await session.execute(_base().order_by(Layer.rank))
    return [TagRow(*row[:3], row[3] or [], *row[4:]) for row in rows]


async def find_tag(session: AsyncSession, tag_id: int) -> TagRow | None:
    """Return one live tag."""
    row = (await session.execute(_base().where(Tag.id == tag_id))).one_or_none()
    return TagRow(*row[:3], row[3] or [], *row[4:]) if row else None


async def name_taken(session: AsyncSession, name: str, but: int | None) -> bool:
    """Tell whether another live tag has this name."""
    query = select(Tag.id).where(Tag.removed_at.is_(None), func.lower(Tag.name) == func.lower(name))
    if but is not None:
        query = query.where(Tag.id != but)
    return (await session.execute(query)).first() is not None


async def unknown_enrollments(session: AsyncSession, wanted: Sequence[int]) -> set[int]:
    """Return those that do not exist."""
    found = await session.scalars(select(EnrollmentRow.id).where(EnrollmentRow.id.in_(wanted)))
    return set(wanted) - set(found)


async def add_tag(session: AsyncSession, tag: Tag) -> None:
    """Store a new tag and its layer above all other tags."""
    session.add(tag)
    await session.flush()
    highest = select(func.coalesce(func.max(Layer.rank), 0)).where(
        Layer.kind == "tag", Layer.removed_at.is_(None)
    )
    rank = (await session.execute(highest)).scalar_one() + 1
    await session.execute(insert(Layer).values(kind="tag", name=str(tag.id), rank=rank, tag_id=tag.id))


async def set_enrollments(session: AsyncSession, tag_id: int, enrollments: Sequence[int]) -> None:
    """Replace the enrollments whose machines are members."""
    await session.execute(delete(TagEnrollment).where(TagEnrollment.tag_id == tag_id))
    if enrollments:
        rows = [{"tag_id": tag_id, "enrollment_id": number} for number in sorted(set(enrollments))]
        await session.execute(insert(TagEnrollment), rows)


async def set_order(
    session: AsyncSession, tags: Sequence[int], seq: int, user: int | None, now: datetime
) -> None:
    """Rank tags' layers from 1 on; the database checks at the end that no two share a rank."""
    for rank, tag in enumerate(tags, 1):
        await session.execute(update(Layer).where(Layer.tag_id == tag).values(rank=rank))
    await session.execute(
        upsert(TagOrderVersion).values(seq=seq, tags=list(tags), opened_at=now, opened_by=user)
    )


async def remove_tag(session: AsyncSession, row: TagRow, user: int, now: datetime) -> None:
    """Take a tag out of use with its layer and memberships; all of it stays as history."""
    await session.execute(update(Tag).where(Tag.id == row.tag.id).values(removed_at=now))
    await session.execute(update(Layer).where(Layer.id == row.layer).values(removed_at=now))
    await session.execute(
        update(TagMember)
        .where(TagMember.tag_id == row.tag.id, TagMember.left_at.is_(None))
        .values(left_at=now, left_by=user)
    )


async def lock_machine(session: AsyncSession, machine_id: str) -> tuple[int, str] | None:
    """Keep syncs of a machine out and have its layers looked up again; return its row id and host name."""
    statement = (
        update(MachineSync)
        .where(MachineSync.machine_id == Machine.id, Machine.machine_id == machine_id)
        .values(facts_key=None)
        .returning(Machine.id, Machine.hostname)
    )
    row = (await session.execute(statement)).one_or_none()
    return (row[0], row[1]) if row else None


async def join(session: AsyncSession, tag: int, machine: int, user: int, now: datetime) -> bool:
    """Make a machine a member manually; return whether it was none before."""
    statement = (
        upsert(TagMember)
        .values(tag_id=tag, machine_id=machine, source=MANUAL, joined_at=now, joined_by=user)
        .on_conflict_do_nothing()
        .returning(TagMember.id)
    )
    return (await session.execute(statement)).first() is not None


async def leave(session: AsyncSession, tag: int, machine: int, user: int, now: datetime) -> bool:
    """End a manual membership; return whether there was one."""
    statement = (
        update(TagMember)
        .where(
            TagMember.tag_id == tag,
            TagMember.machine_id == machine,
            TagMember.source == MANUAL,
            TagMember.left_at.is_(None),
        )
        .values(left_at=now, left_by=user)
        .returning(TagMember.id)
    )
    return (await session.execute(statement)).first() is not None


@cache
def _tags() -> Statement:
    return Statement(_base().order_by(Layer.rank))


async def read_tags(connection: Connection) -> Sequence[Row]:
    """Return live tags in their order, the lowest first."""
    return await _tags().fetch(connection)


@cache
def _members() -> Statement:
    sources = func.array_agg(aggregate_order_by(TagMember.source, TagMember.source)).label("sources")
    joined_at = func.min(TagMember.joined_at).label("joined_at")
    return Statement(
        select(Machine.machine_id, Machine.hostname, sources, joined_at, Machine.id)
        .join(TagMember, TagMember.machine_id == Machine.id)
        .join(Tag, Tag.id == TagMember.tag_id)
        .where(Tag.id == parameter("tag", BigInteger()), Tag.removed_at.is_(None))
        .where(TagMember.left_at.is_(None), Machine.id > parameter("after", BigInteger()))
        .group_by(Machine.id)
        .order_by(Machine.id)
        .limit(parameter("limit", Integer()))
    )


async def read_members(connection: Connection, tag: int, after: int, limit: int) -> Sequence[Row]:
    """Return members by the order in which their machines became known."""
    return await _members().fetch(connection, tag=tag, after=after, limit=limit)


async def is_live(connection: Connection, tag: int) -> bool:
    """Tell whether there is such a tag."""
    found: bool = await connection.fetchval(
        "select exists (select from tag where id = $1 and removed_at is null)", tag
    )
    return found


async def machines_by_layers(session: AsyncSession) -> Sequence[tuple[Sequence[int], int]]:
    """Return each set of layers that Macs had at their last preflight, and how many had it."""
    query = (
        select(PolicySignature.layers, func.count())
        .join(MachineSync, MachineSync.signature == PolicySignature.id)
        .group_by(PolicySignature.layers)
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def rivals(session: AsyncSession, layers: Sequence[int]) -> set[tuple[int, int]]:
    """Return pairs of these layers, the smaller id first, that have something to say about the same thing."""
    one, two = aliased(RuleVersion), aliased(RuleVersion)
    targets = (
        select(one.layer_id, two.layer_id)
        .join(two, (two.rule_type == one.rule_type) & (two.identifier == one.identifier))
        .where(*(_in_force(version, layers) for version in (one, two)), one.layer_id < two.layer_id)
        .where(one.opened_seq.is_not(None), two.opened_seq.is_not(None))
    )
    first, second = aliased(SettingVersion), aliased(SettingVersion)
    keys = (
        select(first.layer_id, second.layer_id)
        .join(second, second.key == first.key)
        .where(*(_in_force(version, layers) for version in (first, second)))
        .where(first.layer_id < second.layer_id)
    )
    return {(row[0], row[1]) for row in await session.execute(union(targets, keys))}


def _in_force(
    version: type[RuleVersion] | type[SettingVersion], layers: Sequence[int]
) -> ColumnElement[bool]:
    return version.closed_seq.is_(None) & version.layer_id.in_(layers)


async def newest_machines(session: AsyncSession, limit: int) -> Sequence[Machine]:
    """Return the machines that synced last."""
    query = (
        select(Machine)
        .join(MachineSync, MachineSync.machine_id == Machine.id)
        .order_by(MachineSync.last_preflight_at.desc().nulls_last(), Machine.id.desc())
        .limit(limit)
    )
    return (await session.scalars(query)).all()
