"""Creates, changes and removes rules: each an entry of the policy log under one number."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.errors import Conflict, NotFound
from santaserver.live.messages import RuleChanged, message
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.policy_head import lock_policy, next_seq
from santaserver.rules import repository
from santaserver.rules.checks import CheckedContent, check_comment, check_content, check_identifier
from santaserver.rules.repository import RuleRow
from santaserver.rules.schemas import Policy, Rule, RuleCreate, RuleType, RuleUpdate
from santaserver.users.repository import audit
from santaserver.users.schemas import User

MAX_ROW_ID = 2**63 - 1


async def list_rules(
    session: AsyncSession,
    cursor: str | None,
    limit: int,
    text: str,
    rule_type: RuleType | None,
    policy: Policy | None,
) -> Page[Rule]:
    """Return a page of live rules, the newest first."""
    key = decode_cursor(cursor, (int,))
    before = max(min(int(key[0]), MAX_ROW_ID), 0) if key else None
    rows = await repository.list_rules(session, before, limit + 1, text, rule_type, policy)
    page = rows[:limit]
    following = encode_cursor((page[-1][0].id,)) if len(rows) > limit else None
    return Page(items=await _show(session, page), next_cursor=following)


async def get_rule(session: AsyncSession, rule_id: int) -> Rule:
    """Return one live rule."""
    return (await _show(session, [await _live(session, rule_id)]))[0]


async def create_rule(session: AsyncSession, rule: RuleCreate, user: User | None, now: datetime) -> Rule:
    """Add a rule; raise `Conflict` when its target has one."""
    identifier = check_identifier(rule.rule_type, rule.identifier)
    content = check_content(rule.rule_type, rule)
    actor = user.id if user else None
    seq = await next_seq(session)
    rule_id = await repository.add_rule(
        session, rule.rule_type, identifier, check_comment(rule.comment), actor, now
    )
    if rule_id is None:
        raise Conflict(f"There is a rule for this {rule.rule_type} already; change it instead")
    repository.open_version(session, (rule_id, rule.rule_type, identifier), content, seq, actor, now)
    await session.flush()
    created = await get_rule(session, rule_id)
    _record(session, user, now, "created", None, created)
    return created


async def update_rule(
    session: AsyncSession, rule_id: int, rule: RuleUpdate, user: User, now: datetime
) -> Rule:
    """Give a rule new content; without a difference for Macs no number is used."""
    await lock_policy(session)
    row, version, _ = await _live(session, rule_id)
    content = check_content(cast("RuleType", row.rule_type), rule)
    comment = check_comment(rule.comment)
    before = await get_rule(session, rule_id)
    if _content(version) != content:
        seq = await next_seq(session)
        await repository.close_version(session, rule_id, seq)
        repository.open_version(session, (rule_id, row.rule_type, row.identifier), content, seq, user.id, now)
    await repository.set_comment(session, rule_id, comment)
    await session.flush()
    session.expire_all()
    after = await get_rule(session, rule_id)
    if after != before:
        _record(session, user, now, "changed", before, after)
    return after


async def remove_rule(session: AsyncSession, rule_id: int, user: User, now: datetime) -> None:
    """Take a rule out of use; Macs that have it are sent its removal."""
    await lock_policy(session)
    before = await get_rule(session, rule_id)
    seq = await next_seq(session)
    await repository.close_version(session, rule_id, seq)
    await repository.mark_removed(session, rule_id, now)
    _record(session, user, now, "removed", before, None)


async def _live(session: AsyncSession, rule_id: int) -> RuleRow:
    row = await repository.find_rule(session, rule_id) if 0 < rule_id <= MAX_ROW_ID else None
    if row is None:
        raise NotFound("There is no such rule; it may have been removed")
    return row


def _record(
    session: AsyncSession,
    user: User | None,
    now: datetime,
    action: str,
    before: Rule | None,
    after: Rule | None,
) -> None:
    shown = after or before
    if shown is None:
        return
    actor = (user.id, user.username) if user else (None, "system")
    audit(
        session,
        actor,
        now,
        f"rule_{action}",
        ("rule", str(shown.id)),
        _plain(before),
        _plain(after),
        shown.seq,
    )
    session.info["outbox"].add(
        message(RuleChanged.model_validate({"at": now, "action": action, "rule": shown}))
    )


def _plain(rule: Rule | None) -> dict[str, Any] | None:
    return rule.model_dump(mode="json", exclude={"machines_acked", "machines_total"}) if rule else None


def _content(version: object) -> CheckedContent:
    return CheckedContent(**{name: getattr(version, name) for name in CheckedContent.__dataclass_fields__})


async def _show(session: AsyncSession, rows: Sequence[RuleRow]) -> list[Rule]:
    if not rows:
        return []
    acked = await repository.acked_seqs(session)
    total = await repository.count_machines(session)
    return [_rule(row, acked, total) for row in rows]


def _rule(row: RuleRow, acked: Sequence[tuple[int, int]], total: int) -> Rule:
    rule, version, author = row
    return Rule(
        id=rule.id,
        rule_type=cast("RuleType", rule.rule_type),
        identifier=rule.identifier,
        policy=cast("Policy", version.policy),
        cel_expr=version.cel_expr,
        custom_msg=version.custom_msg,
        custom_url=version.custom_url,
        comment=rule.comment,
        created_at=rule.created_at,
        created_by=author,
        seq=version.opened_seq,
        machines_acked=sum(number for seq, number in acked if seq >= version.opened_seq),
        machines_total=total,
    )
