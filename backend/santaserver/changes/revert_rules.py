"""Takes back a change of rules, however many: a few statements under one number."""

from santaserver.changes import staging
from santaserver.changes.messages import WHY
from santaserver.changes.planning import Revert, check_conflicts, check_policy, check_scope
from santaserver.changes.schemas import RevertConflict, RevertPlan, RuleStep
from santaserver.errors import FieldProblem, Unprocessable
from santaserver.outbox import changed_in_bulk
from santaserver.policy.change import Change, policy_change
from santaserver.policy.head import read_head
from santaserver.rules.transfer_apply import apply
from santaserver.rules.transfer_asking import ImportReach, ask_before_import
from santaserver.rules.transfer_guard import judge
from santaserver.rules.transfer_staging import changed_layers
from santaserver.unit_of_work import UnitOfWork


async def revert_rules(work: UnitOfWork, asked: Revert) -> RevertPlan:
    """Plan it and, unless it is a dry run, do it."""
    seen = await read_head(work.connection)
    plan = await _plan(work, asked, seen.seq)
    if asked.wanted.dry_run:
        plan.refused = await _judge(work, asked, lock=False)
        plan.warnings = work.guard.warnings
        return plan
    check_conflicts(asked.wanted, plan)
    reach = await _reach(work, plan)
    await ask_before_import(work, reach, asked.entry.seq)
    async with policy_change(work, asked.actor, asked.now, "revert", asked.wanted.reason) as change:
        # Always compared again: a rule that waits for its start is made without a number.
        plan = await _plan(work, asked, change.before.seq, again=True)
        check_conflicts(asked.wanted, plan)
        again = await _reach(work, plan)
        if again != reach or change.before.layer_version != seen.layer_version:
            await ask_before_import(work, again, asked.entry.seq)
        # Judged under the policy's lock, after which the guard's own lock may be taken.
        refused = await _judge(work, asked, lock=True)
        if refused and not asked.wanted.override_guard:
            raise _refusal(refused)
        plan.warnings = work.guard.warnings
        plan.policy_seq = await apply(change)
        plan.applied = change.numbered
        _record(change, plan, asked, overridden=bool(refused))
    return plan


async def _plan(work: UnitOfWork, asked: Revert, seq: int, *, again: bool = False) -> RevertPlan:
    """Compare the change with what is stored at a policy number."""
    connection = work.connection
    check_policy(asked.wanted, seq)
    found = await staging.stage(connection, asked.entry, asked.scope, asked.now, again=again)
    check_scope(asked.scope, found.in_scope, found.total - found.in_scope)
    conflicts = []
    if found.actions.get("conflict"):
        conflicts = [
            RevertConflict(**row, message=WHY[row["why"]])
            for row in map(dict, await staging.conflicts(connection, asked.entry.seq))
        ]
    return RevertPlan(
        applied=False,
        reverts=asked.entry.seq,
        policy_seq=seq,
        added=found.actions.get("add", 0),
        changed=found.actions.get("change", 0),
        removed=found.actions.get("remove", 0),
        settings=0,
        unchanged=found.actions.get("same", 0),
        rule_steps=[RuleStep(**dict(row)) for row in await staging.planned(connection)],
        setting_steps=[],
        conflicts=conflicts,
        conflicts_total=found.actions.get("conflict", 0),
    )


async def _judge(work: UnitOfWork, asked: Revert, *, lock: bool) -> list[str]:
    verdict = await judge(work, asked.now, lock=lock, scope=asked.scope)
    return [mistake.message for mistake in verdict.mistakes]


async def _reach(work: UnitOfWork, plan: RevertPlan) -> ImportReach:
    loosened, layers = await staging.loosened(work.connection)
    return ImportReach(
        (plan.added, plan.changed, plan.removed),
        loosened,
        frozenset(layers),
        frozenset(await changed_layers(work.connection)),
        frozenset(),
    )


def _refusal(refused: list[str]) -> Unprocessable:
    return Unprocessable(
        f"Taking this change back would lock Macs out; nothing was stored. {refused[0]}",
        errors=tuple(FieldProblem(field="override_guard", message=message) for message in refused),
    )


def _record(change: Change, plan: RevertPlan, asked: Revert, *, overridden: bool) -> None:
    if not change.numbered:
        return
    facts = {"reverts": plan.reverts, "adds": plan.added, "changes": plan.changed, "removes": plan.removed}
    facts |= {"guard_overridden": True} if overridden else {}
    change.sum_up(**facts)
    left = {"conflicts_skipped": plan.conflicts_total} if plan.conflicts_total else {}
    change.audit("change_reverted", ("rule", "*"), None, facts | left | {"reason": asked.wanted.reason})
    change.tell(changed_in_bulk(change.now))
