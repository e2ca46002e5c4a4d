"""Rules and their versions in the database."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.models import AppUser, Machine, MachineSync, Rule, RuleVersion
from santaserver.models.policy import GLOBAL_LAYER
from santaserver.paging import like_pattern
from santaserver.rules.checks import CheckedContent

RuleRow = tuple[Rule, RuleVersion, str | None]
"""(rule, its open version, name of who made it)"""


def _base() -> Select[Rule, RuleVersion, str]:
    return (
        select(Rule, RuleVersion, AppUser.username)
        .join(RuleVersion, (RuleVersion.rule_id == Rule.id) & RuleVersion.closed_seq.is_(None))
        .outerjoin(AppUser, AppUser.id == Rule.created_by)
        .where(Rule.removed_at.is_(None), Rule.layer_id == GLOBAL_LAYER)
    )


async def list_rules(
    session: AsyncSession,
    before: int | None,
    limit: int,
    text: str,
    rule_type: str | None,
    policy: str | None,
) -> Sequence[RuleRow]:
    """Return live rules with an id below `before`, the newest first."""
    query = _base().order_by(Rule.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Rule.id < before)
    if rule_type:
        query = query.where(Rule.rule_type == rule_type)
    if policy:
        query = query.where(RuleVersion.policy == policy)
    if text.strip():
        pattern = like_pattern(text)
        columns = (Rule.identifier, Rule.comment, RuleVersion.custom_msg, RuleVersion.cel_expr)
        query = query.where(or_(*(column.ilike(pattern) for column in columns)))
    return [(row[0], row[1], row[2]) for row in await session.execute(query)]


async def find_rule(session: AsyncSession, rule_id: int) -> RuleRow | None:
    """Return one live rule."""
    row = (await session.execute(_base().where(Rule.id == rule_id))).one_or_none()
    return (row[0], row[1], row[2]) if row else None


async def add_rule(
    session: AsyncSession, rule_type: str, identifier: str, comment: str, user: int | None, now: datetime
) -> int | None:
    """Add a rule without content; return None when its target has a live one already."""
    statement = (
        insert(Rule)
        .values(
            layer_id=GLOBAL_LAYER,
            rule_type=rule_type,
            identifier=identifier,
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
    rule: tuple[int, str, str],
    content: CheckedContent,
    seq: int,
    user: int | None,
    now: datetime,
) -> None:
    """Give a rule (id, type, identifier) content from `seq` on."""
    session.add(
        RuleVersion(
            rule_id=rule[0],
            layer_id=GLOBAL_LAYER,
            rule_type=rule[1],
            identifier=rule[2],
            policy=content.policy,
            cel_expr=content.cel_expr,
            custom_msg=content.custom_msg,
            custom_url=content.custom_url,
            needs_level=content.needs_level,
            grants_compiler=content.grants_compiler,
            opened_seq=seq,
            opened_at=now,
            opened_by=user,
        )
    )


async def close_version(session: AsyncSession, rule_id: int, seq: int) -> None:
    """End a rule's content before `seq`."""
    await session.execute(
        update(RuleVersion)
        .where(RuleVersion.rule_id == rule_id, RuleVersion.closed_seq.is_(None))
        .values(closed_seq=seq)
    )


async def mark_removed(session: AsyncSession, rule_id: int, now: datetime) -> None:
    """Take a rule out of use; it stays in the log."""
    await session.execute(update(Rule).where(Rule.id == rule_id).values(removed_at=now))


async def set_comment(session: AsyncSession, rule_id: int, comment: str) -> None:
    """Change the comment, which no Mac ever sees."""
    await session.execute(update(Rule).where(Rule.id == rule_id).values(comment=comment))


async def acked_seqs(session: AsyncSession) -> list[tuple[int, int]]:
    """Return (confirmed number, machines), the highest number first."""
    query = (
        select(MachineSync.acked_seq, func.count())
        .where(MachineSync.acked_seq.is_not(None))
        .group_by(MachineSync.acked_seq)
        .order_by(MachineSync.acked_seq.desc())
    )
    return [(seq, number) for seq, number in await session.execute(query) if seq is not None]


async def count_machines(session: AsyncSession) -> int:
    """Return the size of the fleet."""
    return (await session.execute(select(func.count()).select_from(Machine))).scalar_one()
