"""Counts the Macs that are in a layer now, by what they reported last.

The list of layers counts what the last preflights have found. This is for the question before a
change: a tag that was just made, or given to Macs that have not synced since, counts as well.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, exists, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.layers.service import layer_to_read
from santaserver.models import Machine, Tag, TagEnrollment, TagMember
from santaserver.models.policy import MANUAL
from santaserver.policy.predicate import MachineFacts, holds
from santaserver.turns import Turns

AT_ONCE = 200
"""Macs that are read at a time."""


async def count_members(session: AsyncSession, name: str) -> int:
    """Count the Macs of a layer; raise `NotFound` for one that cannot be."""
    layer = await layer_to_read(session, name)
    kind, _, owner = (layer.name if layer else name).partition(":")
    if kind == "tag":
        return await _count_tag(session, owner)
    conditions = {
        "global": true(),
        "user": func.lower(Machine.primary_user) == func.lower(owner),
        "machine": Machine.machine_id == owner,
    }
    return await _count(session, conditions[kind])


async def _count_tag(session: AsyncSession, name: str) -> int:
    query = select(Tag).where(func.lower(Tag.name) == func.lower(name), Tag.removed_at.is_(None))
    tag = (await session.scalars(query)).one()
    member = or_(*_known(tag))
    number = await _count(session, member)
    if tag.predicate is not None:
        number += await _count_matching(session, tag.predicate, ~member)
    return number


def _known(tag: Tag) -> Sequence[ColumnElement[bool]]:
    """Return how a tag's members can be told without its expression."""
    by_hand = exists().where(
        TagMember.machine_id == Machine.id,
        TagMember.tag_id == tag.id,
        TagMember.source == MANUAL,
        TagMember.left_at.is_(None),
    )
    enrolled = exists().where(
        TagEnrollment.tag_id == tag.id, TagEnrollment.enrollment_id == Machine.enrollment_id
    )
    group = func.unnest(Machine.primary_user_groups).table_valued("name").render_derived()
    wanted = [name.lower() for name in tag.groups]
    grouped = exists(select(group.c.name).where(func.lower(group.c.name).in_(wanted)))
    return by_hand, enrolled, grouped


async def _count(session: AsyncSession, condition: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(Machine).where(condition)
    return (await session.execute(query)).scalar_one()


async def _count_matching(session: AsyncSession, predicate: str, others: ColumnElement[bool]) -> int:
    number = after = 0
    turns = Turns()
    while True:
        query = select(Machine).where(others, Machine.id > after).order_by(Machine.id).limit(AT_ONCE)
        machines = (await session.scalars(query)).all()
        if not machines:
            return number
        for machine in machines:
            number += holds(predicate, MachineFacts.of(machine))
            await turns.pause()
        after = machines[-1].id
        session.expunge_all()
