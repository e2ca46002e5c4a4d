"""Makes activations and expiries entries of the policy log, so that Macs are sent them like any change.

Run by a task of every worker and, when one is due, by the next preflight: what a Mac should have remains a
function of its signature and a policy number alone.
"""

from datetime import datetime

from santaserver.audit import SCHEDULE
from santaserver.outbox import changed_in_bulk
from santaserver.policy import schedule_repository as repository
from santaserver.policy.change import Change, change
from santaserver.policy.head import PolicyHead
from santaserver.unit_of_work import UnitOfWork


async def apply_due(work: UnitOfWork, now: datetime) -> PolicyHead:
    """Open and close every version whose time has come, under one number; return the policy's numbers.

    A second caller waits for the lock, and then finds nothing left to do.
    """
    async with change(work, SCHEDULE, now, "schedule") as made:
        due_at = made.before.next_change_at
        if due_at is not None and due_at <= now:
            await _apply(made)
    return made.after()


async def _apply(made: Change) -> None:
    opened = await repository.open_waiting(made)
    # One that expired between two runs was never in force, but its rule ends too.
    missed = await repository.cancel_missed(made)
    closed = await repository.close_expired(made)
    ended = [*missed, *closed]
    await repository.mark_removed(made, ended)
    if opened or closed:
        made.take_number()
    made.next_change_is(await repository.next_due(made.connection))
    made.sum_up(activated=len(opened), expired=len(ended))
    made.audit_each("rule_activated", "rule", opened)
    made.audit_each("rule_expired", "rule", ended)
    if opened or ended:
        made.tell(changed_in_bulk(made.now))
