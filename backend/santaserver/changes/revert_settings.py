"""Takes back a change of settings; one change concerns one layer."""

from collections.abc import Mapping, Sequence

from santaserver.changes import repository
from santaserver.changes.messages import WHY
from santaserver.changes.planning import Revert, check_conflicts, check_policy, check_scope
from santaserver.changes.reads import setting
from santaserver.changes.repository import LaterChange, SettingRow
from santaserver.changes.schemas import RevertConflict, RevertPlan, SettingStep
from santaserver.changes.settings_steps import Owned, Step, restored, steps
from santaserver.errors import Conflict
from santaserver.outbox import changed_in_bulk
from santaserver.policy.head import head_seq
from santaserver.sync_settings.repository import open_settings
from santaserver.sync_settings.service import restore_settings
from santaserver.unit_of_work import UnitOfWork


async def revert_settings(work: UnitOfWork, asked: Revert) -> RevertPlan:
    """Plan it and, unless it is a dry run, do it."""
    connection, entry = work.connection, asked.entry
    rows = await repository.settings(connection, asked.scope, entry.seq)
    outside = 0
    if not asked.scope.everywhere:
        outside = await repository.settings_outside(connection, asked.scope, entry.seq)
    check_scope(asked.scope, len(rows), outside)
    seq = await head_seq(connection)
    check_policy(asked.wanted, seq)
    layer, name = _layer(rows)
    live = await open_settings(connection, layer)
    later = await repository.later_of_settings(connection, layer, [row.key for row in rows])
    plan = _plan(entry.seq, seq, name, steps(rows, live), later)
    if asked.wanted.dry_run:
        return plan
    check_conflicts(asked.wanted, plan)
    if not plan.settings:
        return plan

    def wanted(present: Mapping[str, Owned]) -> Mapping[str, Owned]:
        if present != live:
            raise Conflict("The settings have changed in the meantime; review the new plan first")
        return restored(steps(rows, present), present)

    await restore_settings(
        work, asked.scope, name, wanted, entry.seq, asked.actor, asked.now, asked.wanted.reason
    )
    work.outbox.add(changed_in_bulk(asked.now))
    plan.applied = True
    plan.policy_seq = await head_seq(connection)
    plan.warnings = work.guard.warnings
    return plan


def _layer(rows: Sequence[SettingRow]) -> tuple[int, str]:
    layers = {(row.layer_id, row.layer) for row in rows}
    if len(layers) != 1:
        raise Conflict("This change cannot be taken back: it concerns the settings of several layers")
    return layers.pop()


def _plan(
    reverts: int, seq: int, layer: str, found: Sequence[Step], later: Mapping[str, LaterChange]
) -> RevertPlan:
    conflicts = [_conflict(layer, step, later.get(step.key), reverts) for step in found if step.why]
    todo = [
        SettingStep(
            action=step.action,
            layer=layer,
            key=step.key,
            before=setting(step.now),
            after=setting(step.wanted),
        )
        for step in found
        if step.action in {"add", "change", "remove"}
    ]
    return RevertPlan(
        applied=False,
        reverts=reverts,
        policy_seq=seq,
        added=0,
        changed=0,
        removed=0,
        settings=len(todo),
        unchanged=len(found) - len(todo) - len(conflicts),
        rule_steps=[],
        setting_steps=todo,
        conflicts=conflicts,
        conflicts_total=len(conflicts),
    )


def _conflict(layer: str, step: Step, later: LaterChange | None, reverts: int) -> RevertConflict:
    last = later if later and later.seq > reverts else None
    why = step.why or "changed"
    return RevertConflict(
        layer=layer,
        rule_type=None,
        identifier=step.key,
        why=why,
        message=WHY[why],
        seq=last and last.seq,
        at=last and last.at,
        actor_name=last and last.actor_name,
        kind=last and last.kind,
    )
