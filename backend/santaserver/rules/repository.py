"""Rules and their versions in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.layers.repository import layer_name
from santaserver.models import (
    AppUser,
    Layer,
    Machine,
    MachineSync,
    PolicySignature,
    Rule,
    RuleVersion,
    Tag,
)
from santaserver.models.policy import GLOBAL_LAYER
from santaserver.rules.checks import CheckedContent, Schedule


class RuleRow(NamedTuple):
    """A rule, its live version, who made it and its layer's name."""

    rule: Rule
    version: RuleVersion
    author: str | None
    layer: str


class Target(NamedTuple):
    """What a version is about."""

    rule: int
    layer: int
    rule_type: str
    identifier: str


def live_rules() -> Select[Rule, RuleVersion, str, str]:
    """Select live rules with their version, author and layer."""
    live = RuleVersion.closed_seq.is_(None) & RuleVersion.cancelled_at.is_(None)
    return (
        select(Rule, RuleVersion, AppUser.username, layer_name())
        .select_from(Rule)
        .join(RuleVersion, (RuleVersion.rule_id == Rule.id) & live)
        .join(Layer, Layer.id == Rule.layer_id)
        .outerjoin(Tag, Tag.id == Layer.tag_id)
        .outerjoin(Machine, Machine.id == Layer.machine_id)
        .outerjoin(AppUser, AppUser.id == Rule.created_by)
        .where(Rule.removed_at.is_(None))
    )


async def find_rule(session: AsyncSession, rule_id: int) -> RuleRow | None:
    """Return one live rule."""
    row = (await session.execute(live_rules().where(Rule.id == rule_id))).one_or_none()
    return RuleRow(*row) if row else None


async def rules_of_layer(session: AsyncSession, layer: int) -> Sequence[RuleRow]:
    """Return all live rules of a layer."""
    return [RuleRow(*row) for row in await session.execute(live_rules().where(Rule.layer_id == layer))]


async def add_rule(
    session: AsyncSession,
    layer: int,
    key: tuple[str, str],
    comment: str,
    user: int | None,
    now: datetime,
) -> int | None:
    """Add a rule without content for (type, identifier); return None when its target has a live one."""
    statement = (
        insert(Rule)
        .values(
            layer_id=layer,
            rule_type=key[0],
            identifier=key[1],
            comment=comment,
            created_at=now,
            created_by=user,
        )
        .on_conflict_do_nothing()
        .returning(Rule.id)
    )
    return (await session.execute(statement)).scalar_one_or_none()


def open_version(
    session: AsyncSession,
    target: Target,
    content: CheckedContent,
    schedule: Schedule,
    reason: str,
    seq: int,
    user: int | None,
    now: datetime,
) -> None:
    """Give a rule content from `seq` on, or from a later number when it has to wait."""
    session.add(
        RuleVersion(
            rule_id=target.rule,
            layer_id=target.layer,
            rule_type=target.rule_type,
            identifier=target.identifier,
            policy=content.policy,
            cel_expr=content.cel_expr,
            custom_msg=content.custom_msg,
            custom_url=content.custom_url,
            needs_level=content.needs_level,
            grants_compiler=content.grants_compiler,
            locked=content.locked,
            reason=reason,
            starts_at=schedule.starts_at,
            expires_at=schedule.expires_at,
            opened_seq=None if schedule.starts_at else seq,
            opened_at=now,
            opened_by=user,
        )
    )


async def end_version(session: AsyncSession, rule_id: int, seq: int, now: datetime) -> None:
    """End a rule's content before `seq`; one that still waited is cancelled."""
    live = (RuleVersion.rule_id == rule_id) & RuleVersion.closed_seq.is_(None)
    waiting = live & RuleVersion.opened_seq.is_(None) & RuleVersion.cancelled_at.is_(None)
    await session.execute(update(RuleVersion).where(waiting).values(cancelled_at=now))
    await session.execute(
        update(RuleVersion).where(live, RuleVersion.opened_seq.is_not(None)).values(closed_seq=seq)
    )


async def end_layer(session: AsyncSession, layer: int, seq: int, now: datetime) -> None:
    """End all content of a layer before `seq`."""
    live = (RuleVersion.layer_id == layer) & RuleVersion.closed_seq.is_(None)
    waiting = live & RuleVersion.opened_seq.is_(None) & RuleVersion.cancelled_at.is_(None)
    await session.execute(update(RuleVersion).where(waiting).values(cancelled_at=now))
    await session.execute(
        update(RuleVersion).where(live, RuleVersion.opened_seq.is_not(None)).values(closed_seq=seq)
    )
    await session.execute(
        update(Rule).where(Rule.layer_id == layer, Rule.removed_at.is_(None)).values(removed_at=now)
    )


async def mark_removed(session: AsyncSession, rule_id: int, now: datetime) -> None:
    """Take a rule out of use; it stays in the log."""
    await session.execute(update(Rule).where(Rule.id == rule_id).values(removed_at=now))


async def set_comment(session: AsyncSession, rule_id: int, comment: str) -> None:
    """Change the comment, which no Mac ever sees."""
    await session.execute(update(Rule).where(Rule.id == rule_id).values(comment=comment))


Progress = tuple[int, list[tuple[int, int]]]
"""(machines of a layer, [(confirmed number, machines)])"""


async def progress(session: AsyncSession, layers: set[int]) -> dict[int, Progress]:
    """Return how far the machines of each of these layers are."""
    found: dict[int, Progress] = {}
    if GLOBAL_LAYER in layers:
        everybody = select(MachineSync.acked_seq, func.count()).group_by(MachineSync.acked_seq)
        rows = [(row[0], row[1]) for row in await session.execute(everybody)]
        confirmed = [(seq, number) for seq, number in rows if seq is not None]
        found[GLOBAL_LAYER] = (sum(number for _, number in rows), confirmed)
    others = sorted(layers - {GLOBAL_LAYER})
    if others:
        member = func.unnest(PolicySignature.layers).table_valued("layer_id").render_derived()
        base = select(member.c.layer_id, func.count()).select_from(MachineSync)
        inside = base.join(PolicySignature, PolicySignature.id == MachineSync.signature)
        acked = base.join(PolicySignature, PolicySignature.id == MachineSync.acked_signature)
        for layer in others:
            found[layer] = (0, [])
        totals = inside.join(member, true()).where(member.c.layer_id.in_(others)).group_by(member.c.layer_id)
        for layer, number in await session.execute(totals):
            found[layer] = (number, [])
        numbers = (
            acked.join(member, true())
            .add_columns(MachineSync.acked_seq)
            .where(member.c.layer_id.in_(others))
            .group_by(member.c.layer_id, MachineSync.acked_seq)
        )
        for layer, number, seq in await session.execute(numbers):
            if seq is not None:
                found[layer][1].append((seq, number))
    return found
