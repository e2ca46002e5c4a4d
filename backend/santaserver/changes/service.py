"""Takes a change back: one new change that gives its rules or settings the content they had before."""

from datetime import datetime

from santaserver.changes import repository
from santaserver.changes.kinds import why_not
from santaserver.changes.planning import Revert
from santaserver.changes.reads import NO_CHANGE
from santaserver.changes.revert_rules import revert_rules
from santaserver.changes.revert_settings import revert_settings
from santaserver.changes.schemas import ChangeRevert, RevertPlan
from santaserver.current_user import User
from santaserver.errors import Conflict, NotFound
from santaserver.permissions import Permission
from santaserver.scope import EVERYWHERE, Scope
from santaserver.unit_of_work import UnitOfWork


async def revert(
    work: UnitOfWork, scope: Scope, seq: int, wanted: ChangeRevert, user: User, now: datetime
) -> RevertPlan:
    """Plan to take back a change and, unless it is a dry run, do it."""
    entry = await repository.find_change(work.connection, seq)
    if entry is None:
        raise NotFound(NO_CHANGE)
    reason = why_not(entry.kind)
    if reason:
        if not scope.everywhere:
            raise NotFound(NO_CHANGE)
        raise Conflict(f"This change cannot be taken back. {reason}")
    work.guard.override = wanted.override_guard
    if await repository.settings(work.connection, EVERYWHERE, seq):
        mine = user.require(Permission.SETTINGS_WRITE)
        return await revert_settings(work, Revert(entry, wanted, mine, user.actor, now))
    return await revert_rules(work, Revert(entry, wanted, scope, user.actor, now))
