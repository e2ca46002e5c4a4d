"""Makes activations and expiries entries of the policy log, so that Macs are sent them like any change.

Run by a task of every worker and, when one is due, by the next preflight: what a Mac should have remains a
function of its signature and a policy number alone.
"""

from datetime import datetime

from santaserver.audit import SCHEDULE
from santaserver.outbox import changed_in_bulk
from santaserver.policy import schedule_repository as repository
from santaserver.policy.change import Change, policy_change
from santaserver.policy.head import PolicyHead
from santaserver.unit_of_work import UnitOfWork


async def apply_due(work: UnitOfWork, now: datetime) -> PolicyHead:
    """Open and close every version whose time has come, under one number; return the policy's numbers.

    A second caller waits for the lock, and then finds nothing left to do.
    """
    async with policy_change(work, SCHEDULE, now, "schedule") as change:
        due_at = change.before.next_change_at
        if due_at is not None and due_at <= now:
            await _apply(change)
    return change.after()


async def _apply(change: Change) -> None:
    opened = await repository.open_waiting(change)
    # One that expired between two runs was never in force, but its rule ends too.
    missed = await repository.cancel_missed(change)
    closed = await repository.close_expired(change)
    ended = [*missed, *closed]
    await repository.mark_removed(change, ended)
    if opened or closed:
        change.take_number()
    change.next_change_is(await repository.next_due(change.connection))
    change.sum_up(activated=len(opened), expired=len(ended))
    change.audit_each("rule_activated", "rule", opened)
    change.audit_each("rule_expired", "rule", ended)
    if opened or ended:
        change.tell(changed_in_bulk(change.now))
