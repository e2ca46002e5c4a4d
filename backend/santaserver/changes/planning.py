"""What plans to take back rules and settings have in common."""

from dataclasses import dataclass
from datetime import datetime

from santaserver.audit import Actor
from santaserver.changes.messages import told
from santaserver.changes.reads import NO_CHANGE
from santaserver.changes.repository import LogEntry
from santaserver.changes.schemas import ChangeRevert, RevertPlan
from santaserver.errors import Conflict, Forbidden, NotFound
from santaserver.scope import Scope


@dataclass(frozen=True, slots=True)
class Revert:
    """A change that is to be taken back, where its user may change things, and by whom."""

    entry: LogEntry
    wanted: ChangeRevert
    scope: Scope
    actor: Actor
    now: datetime


def check_policy(wanted: ChangeRevert, seq: int) -> None:
    """Raise `Conflict` when the plan was made for another policy."""
    if wanted.policy_seq not in {None, seq}:
        raise Conflict("The policy has changed since this plan was made; review the new plan first")


def check_scope(scope: Scope, inside: int, outside: int) -> None:
    """Refuse a change of which something, or everything, is out of scope."""
    if scope.everywhere:
        return
    if not inside:
        raise NotFound(NO_CHANGE)
    if outside:
        raise Forbidden(
            "This change also concerns layers that you may not change, and it can only be taken back as a "
            "whole; ask someone who may change all of them"
        )


def check_conflicts(wanted: ChangeRevert, plan: RevertPlan) -> None:
    """Raise `Conflict` unless there are none, or the request leaves them."""
    if plan.conflicts_total and not wanted.skip_conflicts:
        raise Conflict(
            told(plan.conflicts, plan.conflicts_total),
            members={"conflicts": [one.model_dump(mode="json") for one in plan.conflicts]},
        )
