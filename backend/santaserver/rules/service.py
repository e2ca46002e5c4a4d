"""Creates, changes and removes rules: each an entry of the policy log under one number."""

from datetime import datetime
from typing import Any, cast

from santaserver.audit import Actor
from santaserver.db import Connection
from santaserver.errors import Conflict, FieldProblem, NotFound, Unprocessable
from santaserver.layers.asking import ask_about_layer
from santaserver.layers.schemas import GLOBAL
from santaserver.layers.service import layer_if_known, layer_to_fill
from santaserver.outbox import message
from santaserver.policy import guarding
from santaserver.policy.cel_outcome import ALLOWING
from santaserver.policy.change import Change, policy_change
from santaserver.policy.layer_ranks import GLOBAL_LAYER
from santaserver.policy.targets import Policy, RuleType, check_identifier
from santaserver.preconditions import IfMatch, entity_tag
from santaserver.rules import repository
from santaserver.rules.checks import (
    CheckedContent,
    Schedule,
    check_content,
    check_layer,
    check_schedule,
)
from santaserver.rules.loosening import loosened
from santaserver.rules.messages import RuleChanged
from santaserver.rules.progress import NOBODY, LayerProgress
from santaserver.rules.repository import RuleRow, Target
from santaserver.rules.schemas import Rule, RuleCreate, RulePatch, RuleUpdate
from santaserver.rules.version import STATE, rule_etag, rule_state
from santaserver.scope import Scope
from santaserver.stale import Version, check
from santaserver.unit_of_work import UnitOfWork


async def get_rule(connection: Connection, scope: Scope, rule_id: int) -> Rule:
    """Return one live rule."""
    row = await _live(connection, scope, rule_id)
    return _rule(row, await _progress(connection, row.layer_id))


async def create_rule(work: UnitOfWork, scope: Scope, rule: RuleCreate, actor: Actor, now: datetime) -> Rule:
    """Add a rule; raise `Conflict` when its target has one in this layer."""
    connection = work.connection
    identifier = check_identifier(rule.rule_type, rule.identifier)
    content = check_content(rule.rule_type, rule)
    schedule = check_schedule(rule, now)
    _, known = await layer_if_known(connection, scope, rule.layer)
    macs = await _progress(connection, known.id) if known else NOBODY
    if known:
        await ask_about_layer(
            work, scope, rule.layer, entity_tag("rule", identifier, rule.layer, rule.policy)
        )
    key = (rule.rule_type, identifier)
    # A rule that allows makes nothing worse: where it does not win, nothing changes.
    keys = [] if content.policy in ALLOWING else [key]
    work.guard.override = rule.override_guard
    guard = await guarding.prepare(work, keys, now)
    async with policy_change(work, actor, now, "rule", rule.reason) as change:
        await guard.before()
        layer = await layer_to_fill(change, scope, rule.layer)
        check_layer(layer.kind, rule)
        rule_id = await repository.add_rule(change, layer.id, key)
        if rule_id is None:
            raise Conflict(f"This layer already has a rule for this {rule.rule_type}; change it instead")
        await _open(change, Target(rule_id, layer.id, *key), content, schedule, rule.comment)
        await guard.check(change, [layer.id], field="identifier", scope=scope, newcomers=True)
        created = _rule(await _live(connection, scope, rule_id), macs)
        _record(change, "created", None, created, overridden=guard.overridden)
    return created


async def update_rule(
    work: UnitOfWork,
    scope: Scope,
    rule_id: int,
    wanted: RuleUpdate | RulePatch,
    expected: IfMatch,
    actor: Actor,
    now: datetime,
) -> Rule:
    """Give a rule new content; without a difference no number is used."""
    connection = work.connection
    # Compiling and counting happen before the lock; under it the version is compared again.
    known = await _live(connection, scope, rule_id)
    macs = await _progress(connection, known.layer_id)
    await _check(connection, expected, known, macs)
    rule = wanted if isinstance(wanted, RuleUpdate) else merged(known, wanted)
    content = check_content(cast("RuleType", known.rule_type), rule)
    if (_content(known), known.expires_at) != (content, rule.expires_at):
        now_is, will_be = (known.policy, known.locked), (rule.policy, rule.locked)
        await _ask(work, scope, known, loosened(now_is, will_be), will_be)
    work.guard.override = rule.override_guard
    guard = await guarding.prepare(work, [(known.rule_type, known.identifier)], now)
    async with policy_change(work, actor, now, "rule", rule.reason) as change:
        await guard.before()
        row = await _live(connection, scope, rule_id)
        await _check(connection, expected, row, macs)
        if row != known and isinstance(wanted, RulePatch):
            rule = merged(row, wanted)  # only with `If-Match: *`, or a list of versions
            content = check_content(cast("RuleType", row.rule_type), rule)
        check_layer(GLOBAL if row.layer_id == GLOBAL_LAYER else "tag", rule)
        schedule = check_schedule(rule, now)
        if schedule.starts_at is not None and row.opened_seq is not None:
            raise _in_force()
        if (_content(row), _schedule(row), row.comment) != (content, schedule, rule.comment):
            target = Target(row.id, row.layer_id, row.rule_type, row.identifier)
            await repository.end_version(change, rule_id)
            await _open(change, target, content, schedule, rule.comment)
            await guard.check(change, [row.layer_id], field="identifier", scope=scope, newcomers=True)
        changed = await _live(connection, scope, rule_id)
        after = _rule(changed, macs)
        if changed != row:
            _record(change, "changed", _rule(row, macs), after, overridden=guard.overridden)
    return after


def merged(row: RuleRow, patch: RulePatch) -> RuleUpdate:
    """Return a rule's whole content after a patch."""
    stored = {name: getattr(row, name) for name in RuleUpdate.model_fields if hasattr(row, name)}
    stored |= {"starts_at": _schedule(row).starts_at, "reason": ""}
    named = {name: getattr(patch, name) for name in patch.model_fields_set}
    if named.get("policy", "CEL") != "CEL":
        stored["cel_expr"] = None
    return RuleUpdate.model_construct(**{"override_guard": False, **stored, **named})


async def remove_rule(
    work: UnitOfWork,
    scope: Scope,
    rule_id: int,
    expected: IfMatch,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> None:
    """Take a rule out of use; Macs that have it are sent its removal."""
    connection = work.connection
    known = await _live(connection, scope, rule_id)
    macs = await _progress(connection, known.layer_id)
    await _check(connection, expected, known, macs)
    await _ask(work, scope, known, loosened((known.policy, known.locked), None), None)
    guard = await guarding.prepare(work, [(known.rule_type, known.identifier)], now)
    async with policy_change(work, actor, now, "rule", reason) as change:
        await guard.before()
        row = await _live(connection, scope, rule_id)
        await _check(connection, expected, row, macs)
        await repository.end_version(change, rule_id)
        await repository.mark_removed(change, rule_id)
        await guard.check(change, [known.layer_id], field="identifier", scope=scope)
        _record(change, "removed", _rule(row, macs), None, overridden=guard.overridden)


async def remove_layers_rules(change: Change, layer: int) -> int:
    """Take all rules of a layer out of use, however many there are; return how many there were."""
    return await repository.end_layer(change, layer)


async def _open(
    change: Change, target: Target, content: CheckedContent, schedule: Schedule, comment: str
) -> None:
    await repository.open_version(change, target, content, schedule, comment)
    change.due_at(schedule.starts_at, schedule.expires_at)


async def _check(connection: Connection, expected: IfMatch, row: RuleRow, macs: LayerProgress) -> None:
    if expected.holds(rule_etag(row.id, rule_state(row))):
        return
    imports = await repository.numbers_of(connection, row.id)
    shown = _rule(row, macs)
    state = dict(zip(STATE, rule_state(row), strict=True))
    await check(connection, expected, Version("rule", row.id, state, shown, imports))


async def _ask(
    work: UnitOfWork, scope: Scope, row: RuleRow, lost: str | None, after: tuple[str, bool] | None
) -> None:
    """Ask before a change of a rule; one that still waits blocks nothing yet."""
    version = entity_tag("rule", row.id, rule_state(row), after)
    in_force = row.opened_seq is not None
    await ask_about_layer(work, scope, row.layer, version, loosened=lost if in_force else None)


def _in_force() -> Unprocessable:
    return Unprocessable(
        "A rule in force cannot start later; create another rule, or change this one when the time comes",
        errors=(FieldProblem(field="starts_at", message="The rule is in force"),),
    )


async def _live(connection: Connection, scope: Scope, rule_id: int) -> RuleRow:
    row = await repository.find_rule(connection, scope, rule_id)
    if row is None:
        raise NotFound("There is no such rule; it may have been removed")
    return row


def _record(
    change: Change, action: str, before: Rule | None, after: Rule | None, *, overridden: bool = False
) -> None:
    shown = after or before
    if shown is None:
        return
    stored = _plain(after)
    if overridden:
        stored = (stored or {}) | {"guard_overridden": True}
    change.sum_up(rule=shown.id, layer=shown.layer, action=action)
    change.audit(f"rule_{action}", ("rule", str(shown.id)), _plain(before), stored)
    change.tell(message(RuleChanged.model_validate({"at": change.now, "action": action, "rule": shown})))


def _plain(rule: Rule | None) -> dict[str, Any] | None:
    return (
        rule.model_dump(mode="json", exclude={"machines_acked", "machines_total", "etag"}) if rule else None
    )


def _content(row: RuleRow) -> CheckedContent:
    return CheckedContent(**{name: getattr(row, name) for name in CheckedContent.__dataclass_fields__})


def _schedule(row: RuleRow) -> Schedule:
    return Schedule(row.starts_at if row.opened_seq is None else None, row.expires_at)


async def _progress(connection: Connection, layer: int) -> LayerProgress:
    """Count the Macs of a layer; writers do this before they lock the policy, since it can take time."""
    return (await repository.progress(connection, [layer]))[layer]


def _rule(row: RuleRow, progress: LayerProgress) -> Rule:
    seq = row.opened_seq
    return Rule(
        id=row.id,
        layer=row.layer,
        rule_type=cast("RuleType", row.rule_type),
        identifier=row.identifier,
        policy=cast("Policy", row.policy),
        cel_expr=row.cel_expr,
        custom_msg=row.custom_msg,
        custom_url=row.custom_url,
        comment=row.comment,
        reason=row.reason,
        locked=row.locked,
        state="waiting" if seq is None else "active",
        starts_at=row.starts_at,
        expires_at=row.expires_at,
        created_at=row.created_at,
        created_by=row.author,
        seq=seq,
        machines_acked=0 if seq is None else progress.confirmed(seq),
        machines_total=progress.total,
        etag=rule_etag(row.id, rule_state(row)),
    )
