"""Creates, changes and removes rules: each an entry of the policy log under one number."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.current_user import User
from santaserver.errors import Conflict, FieldProblem, NotFound, Unprocessable
from santaserver.layers.schemas import GLOBAL
from santaserver.layers.service import layer_to_fill
from santaserver.models.policy import GLOBAL_LAYER
from santaserver.outbox import message
from santaserver.policy.head import change_due_at, lock_policy, next_seq
from santaserver.policy.targets import Policy, RuleType, check_identifier
from santaserver.rules import repository
from santaserver.rules.checks import (
    CheckedContent,
    Schedule,
    check_content,
    check_layer,
    check_schedule,
)
from santaserver.rules.claims import signers_of
from santaserver.rules.guard import BLOCKING, endangered, refusal, signer_named_by
from santaserver.rules.messages import RuleChanged
from santaserver.rules.repository import Progress, RuleRow, Target
from santaserver.rules.schemas import Rule, RuleContent, RuleCreate, RuleUpdate
from santaserver.users.repository import audit


async def get_rule(session: AsyncSession, rule_id: int) -> Rule:
    """Return one live rule."""
    return (await _show(session, [await _live(session, rule_id)]))[0]


async def create_rule(session: AsyncSession, rule: RuleCreate, user: User | None, now: datetime) -> Rule:
    """Add a rule; raise `Conflict` when its target has one in this layer."""
    identifier = check_identifier(rule.rule_type, rule.identifier)
    content = check_content(rule.rule_type, rule)
    schedule = check_schedule(rule, now)
    actor = user.id if user else None
    await lock_policy(session)
    layer = await layer_to_fill(session, rule.layer)
    check_layer(layer.kind, rule)
    key = (rule.rule_type, identifier)
    overridden = await _guard(session, key, rule)
    rule_id = await repository.add_rule(session, layer.id, key, rule.comment, actor, now)
    if rule_id is None:
        raise Conflict(f"This layer already has a rule for this {rule.rule_type}; change it instead")
    target = Target(rule_id, layer.id, *key)
    await _open(session, target, content, schedule, rule.reason, actor, now)
    created = await get_rule(session, rule_id)
    _record(session, user, now, "created", None, created, overridden=overridden)
    return created


async def update_rule(
    session: AsyncSession, rule_id: int, rule: RuleUpdate, user: User, now: datetime
) -> Rule:
    """Give a rule new content; without a difference no number is used."""
    await lock_policy(session)
    row, version, *_ = await _live(session, rule_id)
    content = check_content(cast("RuleType", row.rule_type), rule)
    check_layer(GLOBAL if row.layer_id == GLOBAL_LAYER else "tag", rule)
    schedule = check_schedule(rule, now)
    if schedule.starts_at is not None and version.opened_seq is not None:
        raise Unprocessable(
            "A rule in force cannot start later; create another rule, or change this one when the time comes",
            errors=(FieldProblem(field="starts_at", message="The rule is in force"),),
        )
    overridden = await _guard(session, (row.rule_type, row.identifier), rule)
    before = await get_rule(session, rule_id)
    if (_content(version), version.expires_at, version.starts_at if version.opened_seq is None else None) != (
        content,
        schedule.expires_at,
        schedule.starts_at,
    ):
        target = Target(rule_id, row.layer_id, row.rule_type, row.identifier)
        await _open(session, target, content, schedule, rule.reason, user.id, now)
    await repository.set_comment(session, rule_id, rule.comment)
    await session.flush()
    session.expire_all()
    after = await get_rule(session, rule_id)
    if after != before:
        _record(session, user, now, "changed", before, after, overridden=overridden)
    return after


async def remove_rule(session: AsyncSession, rule_id: int, user: User, now: datetime) -> None:
    """Take a rule out of use; Macs that have it are sent its removal."""
    await lock_policy(session)
    before = await get_rule(session, rule_id)
    seq = await next_seq(session)
    await repository.end_version(session, rule_id, seq, now)
    await repository.mark_removed(session, rule_id, now)
    _record(session, user, now, "removed", before, None)


async def remove_layers_rules(session: AsyncSession, layer: int, seq: int, user: User, now: datetime) -> None:
    """Take all rules of a layer out of use under the number `seq`."""
    before = await _show(session, await repository.rules_of_layer(session, layer))
    await repository.end_layer(session, layer, seq, now)
    for rule in before:
        _record(session, user, now, "removed", rule, None)


async def _guard(session: AsyncSession, key: tuple[str, str], rule: RuleContent) -> bool:
    """Refuse a rule that would lock Macs out; return whether one may pass because it is meant."""
    named = signer_named_by(*key)
    if rule.policy not in BLOCKING:
        return False
    signers = [named] if named else (await signers_of(session, key[0], [key[1]])).get(key[1], [])
    needed = endangered(rule.policy, signers)
    if needed is not None and not rule.override_guard:
        raise refusal(needed)
    return needed is not None


async def _open(
    session: AsyncSession,
    target: Target,
    content: CheckedContent,
    schedule: Schedule,
    reason: str,
    actor: int | None,
    now: datetime,
) -> None:
    seq = await next_seq(session)
    await repository.end_version(session, target.rule, seq, now)
    repository.open_version(session, target, content, schedule, reason, seq, actor, now)
    await change_due_at(session, schedule.starts_at, schedule.expires_at)
    await session.flush()


async def _live(session: AsyncSession, rule_id: int) -> RuleRow:
    row = await repository.find_rule(session, rule_id)
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
    *,
    overridden: bool = False,
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
        (_plain(after) or {}) | {"guard_overridden": True} if overridden else _plain(after),
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
    progress = await repository.progress(session, {row.rule.layer_id for row in rows})
    return [_rule(row, progress[row.rule.layer_id]) for row in rows]


def _rule(row: RuleRow, progress: Progress) -> Rule:
    rule, version, author, layer = row
    total, acked = progress
    seq = version.opened_seq
    return Rule(
        id=rule.id,
        layer=layer,
        rule_type=cast("RuleType", rule.rule_type),
        identifier=rule.identifier,
        policy=cast("Policy", version.policy),
        cel_expr=version.cel_expr,
        custom_msg=version.custom_msg,
        custom_url=version.custom_url,
        comment=rule.comment,
        reason=version.reason,
        locked=version.locked,
        state="waiting" if seq is None else "active",
        starts_at=version.starts_at,
        expires_at=version.expires_at,
        created_at=rule.created_at,
        created_by=author,
        seq=seq,
        machines_acked=0 if seq is None else sum(number for confirmed, number in acked if confirmed >= seq),
        machines_total=total,
    )
