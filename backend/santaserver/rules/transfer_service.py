"""Exports rules and imports them: one file, one transaction, one number of the policy."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.errors import Conflict, FieldProblem, Unprocessable
from santaserver.layers.repository import NamedLayer
from santaserver.layers.service import find_layer, layer_if_known, layer_to_fill
from santaserver.live.messages import Lagged, message
from santaserver.policy_head import change_due_at, lock_policy, next_seq
from santaserver.rules import transfer_repository as repository
from santaserver.rules.checks import CheckedContent, Schedule, check_reason
from santaserver.rules.claims import COLUMNS, signers_of
from santaserver.rules.guard import BLOCKING, endangered, signer_named_by
from santaserver.rules.repository import RuleRow
from santaserver.rules.schemas import Policy, RuleType
from santaserver.rules.transfer_format import FileRow, read_rules, write_rules
from santaserver.rules.transfer_plan import Plan, Present, Wanted, check_rows, make_plan, show
from santaserver.rules.transfer_schemas import (
    SHOWN,
    FileFormat,
    FileMistake,
    FileRule,
    ImportPlan,
    RuleImport,
)
from santaserver.users.repository import audit
from santaserver.users.schemas import User


async def export_rules(session: AsyncSession, kind: FileFormat, layer: str | None) -> str:
    """Return the live rules of a layer, or of all layers, as a file."""
    layers = None if layer is None else [(await find_layer(session, layer)).id]
    rows = await repository.rules_of_layers(session, layers)
    return await asyncio.to_thread(write_rules, kind, [_file_rule(row) for row in rows])


async def import_rules(session: AsyncSession, wanted: RuleImport, user: User, now: datetime) -> ImportPlan:
    """Plan an import and, unless it is a trial, do it; raise `Unprocessable` for a file with mistakes."""
    reason = check_reason(wanted.reason)
    rows, mistakes = await asyncio.to_thread(read_rules, wanted.format, wanted.content)
    if not wanted.dry_run:
        await lock_policy(session)
    head = await repository.head_seq(session)
    if wanted.policy_seq not in {None, head}:
        raise Conflict("The policy has changed since this plan was made; look at the new plan first")
    layers = await _layers(session, rows)
    names = {asked: (found.name if found else _stored_name(asked)) for asked, found in layers.items()}
    checked, more = await asyncio.to_thread(check_rows, rows, names, now)
    known = {found.id for found in layers.values() if found}
    present = {
        (row.layer, row.rule.rule_type, row.rule.identifier): _present(row)
        for row in await repository.rules_of_layers(session, known)
    }
    plan = make_plan(checked, present, remove_missing=wanted.remove_missing)
    endangering = await _endangering(session, plan)
    plan.mistakes += [*mistakes, *more, *([] if wanted.override_guard else endangering)]
    plan.mistakes.sort(key=lambda mistake: mistake.line)
    seq = head
    if not wanted.dry_run:
        if plan.mistakes:
            raise _refusal(plan.mistakes)
        seq = await _apply(session, plan, reason, user, now) or head
        _record(session, plan, wanted, (user, now, seq), overridden=bool(endangering))
    return ImportPlan(
        applied=not wanted.dry_run,
        policy_seq=seq,
        rules=len(rows),
        added=plan.count("add"),
        changed=plan.count("change"),
        removed=plan.count("remove"),
        unchanged=plan.unchanged,
        changes=[show(step) for step in plan.steps[:SHOWN]],
        mistakes=plan.mistakes[:SHOWN],
        mistakes_total=len(plan.mistakes),
    )


async def _layers(session: AsyncSession, rows: Sequence[FileRow]) -> dict[str, NamedLayer | None]:
    """Return the layers that a file names; None for one that would be made; those of nobody are left out."""
    found: dict[str, NamedLayer | None] = {}
    for name in dict.fromkeys(row.rule.layer for row in rows):
        known, layer = await layer_if_known(session, name)
        if known:
            found[name] = layer
    return found


async def _apply(session: AsyncSession, plan: Plan, reason: str, user: User, now: datetime) -> int | None:
    """Do what was planned under one number; return it, None when no Mac would notice anything."""
    steps = plan.steps
    comments = [
        (step.present.rule, step.wanted.comment)
        for step in steps
        if step.present and step.wanted and step.wanted.comment != step.present.comment
    ]
    await repository.set_comments(session, comments)
    noticed = [step for step in steps if step.noticed]
    if not noticed:
        return None
    seq = await next_seq(session)
    adding = [step for step in noticed if step.action == "add"]
    targets = sorted({step.key[0] for step in adding})
    layers = {name: (await layer_to_fill(session, name)).id for name in targets}
    ending = [step.present.rule for step in noticed if step.present]
    if ending:
        await repository.end_versions(session, ending, seq, now)
    removed = [step.present.rule for step in noticed if step.action == "remove" and step.present]
    if removed:
        await repository.mark_removed(session, removed, now)
    made = await repository.add_rules(session, adding, layers, user.id, now)
    opening: list[tuple[int, int, Wanted]] = []
    for step in noticed:
        if step.wanted and step.present:
            opening.append((step.present.rule, step.present.layer, step.wanted))
        elif step.wanted:
            layer = layers[step.key[0]]
            opening.append((made[layer, step.key[1], step.key[2]], layer, step.wanted))
    await repository.open_versions(session, opening, reason, seq, user.id, now)
    moments = [
        moment for _, _, one in opening for moment in (one.schedule.starts_at, one.schedule.expires_at)
    ]
    await change_due_at(session, min((moment for moment in moments if moment), default=None))
    return seq


async def _endangering(session: AsyncSession, plan: Plan) -> list[FileMistake]:
    """Return what the lock-out guard says of rules that would begin to block; those that do already stay."""
    changing = [step.wanted for step in plan.steps if step.wanted and step.noticed]
    blocking = [one for one in changing if one.content.policy in BLOCKING]
    known = {
        kind: await signers_of(session, kind, {one.key[2] for one in blocking if one.key[1] == kind})
        for kind in COLUMNS
    }
    mistakes = []
    for one in blocking:
        named = signer_named_by(one.key[1], one.key[2])
        needed = endangered(one.content.policy, [named] if named else known[one.key[1]].get(one.key[2], ()))
        if needed:
            words = f"Blocking this locks Macs out: it is {needed}. Set override_guard if it is meant"
            mistakes.append(FileMistake(line=one.line, field="identifier", message=words))
    return mistakes


def _refusal(mistakes: Sequence[FileMistake]) -> Unprocessable:
    fields = tuple(
        FieldProblem(field=f"line {one.line}{'.' if one.field else ''}{one.field}", message=one.message)
        for one in mistakes[:SHOWN]
    )
    return Unprocessable(f"The file has {len(mistakes)} mistakes; nothing was imported", errors=fields)


def _record(
    session: AsyncSession, plan: Plan, wanted: RuleImport, at: tuple[User, datetime, int], *, overridden: bool
) -> None:
    if not plan.steps:
        return
    user, now, seq = at
    counts = {f"{action}s": plan.count(action) for action in ("add", "change", "remove")}
    after = counts | {"format": wanted.format, "reason": wanted.reason}
    after |= {"guard_overridden": True} if overridden else {}
    audit(session, (user.id, user.username), now, "rules_imported", ("rule", "*"), None, after, seq)
    session.info["outbox"].add(message(Lagged(at=now)))


def _stored_name(name: str) -> str:
    """Return the name that a layer gets when it is made: users are told apart by lower case."""
    return name.lower() if name.startswith("user:") else name


def _schedule(row: RuleRow) -> Schedule:
    version = row.version
    return Schedule(version.starts_at if version.opened_seq is None else None, version.expires_at)


def _present(row: RuleRow) -> Present:
    return Present(
        rule=row.rule.id,
        layer=row.rule.layer_id,
        content=CheckedContent(
            **{name: getattr(row.version, name) for name in CheckedContent.__dataclass_fields__}
        ),
        schedule=_schedule(row),
        waits=row.version.opened_seq is None,
        comment=row.rule.comment,
    )


def _file_rule(row: RuleRow) -> FileRule:
    schedule = _schedule(row)
    return FileRule.model_construct(
        policy=cast("Policy", row.version.policy),
        cel_expr=row.version.cel_expr,
        custom_msg=row.version.custom_msg,
        custom_url=row.version.custom_url,
        locked=row.version.locked,
        layer=row.layer,
        rule_type=cast("RuleType", row.rule.rule_type),
        identifier=row.rule.identifier,
        comment=row.rule.comment,
        starts_at=schedule.starts_at,
        expires_at=schedule.expires_at,
    )
