"""Many rules at once in the database: a few statements, whatever their number."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.models import PolicyHead, Rule, RuleVersion
from santaserver.rules.repository import RuleRow, live_rules
from santaserver.rules.transfer_plan import Step, Wanted

BATCH = 5_000
"""Rows of one statement: far below what a driver takes."""


async def rules_of_layers(session: AsyncSession, layers: Collection[int] | None) -> Sequence[RuleRow]:
    """Return the live rules of some layers, or of all."""
    query = live_rules()
    if layers is not None:
        query = query.where(Rule.layer_id.in_(layers))
    return [RuleRow(*row) for row in await session.execute(query)]


async def head_seq(session: AsyncSession) -> int:
    """Return the policy's number."""
    return (await session.execute(select(PolicyHead.seq))).scalar_one()


async def add_rules(
    session: AsyncSession, steps: Sequence[Step], layers: dict[str, int], user: int, now: datetime
) -> dict[tuple[int, str, str], int]:
    """Add rules without content; return their ids by layer, type and identifier."""
    rows = [
        {
            "layer_id": layers[step.key[0]],
            "rule_type": step.key[1],
            "identifier": step.key[2],
            "comment": step.wanted.comment if step.wanted else "",
            "created_at": now,
            "created_by": user,
        }
        for step in steps
    ]
    made: dict[tuple[int, str, str], int] = {}
    for start in range(0, len(rows), BATCH):
        statement = insert(Rule).returning(Rule.layer_id, Rule.rule_type, Rule.identifier, Rule.id)
        for layer, kind, identifier, number in await session.execute(statement, rows[start : start + BATCH]):
            made[layer, kind, identifier] = number
    return made


async def open_versions(
    session: AsyncSession,
    wanted: Sequence[tuple[int, int, Wanted]],
    reason: str,
    seq: int,
    user: int,
    now: datetime,
) -> None:
    """Give rules content from `seq` on: (rule, layer, what it is to be)."""
    rows = [
        {
            "rule_id": rule,
            "layer_id": layer,
            "rule_type": one.key[1],
            "identifier": one.key[2],
            "policy": one.content.policy,
            "cel_expr": one.content.cel_expr,
            "custom_msg": one.content.custom_msg,
            "custom_url": one.content.custom_url,
            "needs_level": one.content.needs_level,
            "grants_compiler": one.content.grants_compiler,
            "locked": one.content.locked,
            "reason": reason,
            "starts_at": one.schedule.starts_at,
            "expires_at": one.schedule.expires_at,
            "opened_seq": None if one.schedule.starts_at else seq,
            "opened_at": now,
            "opened_by": user,
        }
        for rule, layer, one in wanted
    ]
    for start in range(0, len(rows), BATCH):
        await session.execute(insert(RuleVersion), rows[start : start + BATCH])


async def end_versions(session: AsyncSession, rules: Sequence[int], seq: int, now: datetime) -> None:
    """End the content of rules before `seq`; what still waited is cancelled."""
    live = (RuleVersion.rule_id == func.any(list(rules))) & RuleVersion.closed_seq.is_(None)
    waiting = live & RuleVersion.opened_seq.is_(None) & RuleVersion.cancelled_at.is_(None)
    plain = {"synchronize_session": False}
    await session.execute(
        update(RuleVersion).where(waiting).values(cancelled_at=now), execution_options=plain
    )
    opened = live & RuleVersion.opened_seq.is_not(None)
    await session.execute(update(RuleVersion).where(opened).values(closed_seq=seq), execution_options=plain)


async def mark_removed(session: AsyncSession, rules: Sequence[int], now: datetime) -> None:
    """Take rules out of use; they stay in the log."""
    await session.execute(
        update(Rule).where(Rule.id == func.any(list(rules))).values(removed_at=now),
        execution_options={"synchronize_session": False},
    )


async def set_comments(session: AsyncSession, comments: Sequence[tuple[int, str]]) -> None:
    """Change comments, which no Mac ever sees."""
    rows = [{"id": rule, "comment": comment} for rule, comment in comments]
    for start in range(0, len(rows), BATCH):
        await session.execute(update(Rule), rows[start : start + BATCH])
