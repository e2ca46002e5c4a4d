"""List policy changes, show what each did, take one back."""

from typing import Annotated

from fastapi import Query

from santaserver.audit import ActorKind
from santaserver.authorization import require
from santaserver.changes import reads, service
from santaserver.changes.repository import ChangeFilters, Scopes
from santaserver.changes.schemas import ChangeDetails, ChangeRevert, LoggedChange, RevertPlan
from santaserver.current_user import User
from santaserver.deps import ConfirmedWorkDep, ConnectionDep, CurrentUser, NowDep
from santaserver.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
    Unprocessable,
    responses,
)
from santaserver.inputs import RowId, Stored, Time
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page, SearchParam
from santaserver.permissions import Permission
from santaserver.policy.change import ChangeKind
from santaserver.routing import AreaRouter
from santaserver.scope import Scope

router = AreaRouter(prefix="/changes", tags=["changes"], responses=responses(Unauthorized, Forbidden))

MayRead = Annotated[Scope, require("rule:read")]
MayWrite = Annotated[Scope, require("rule:write")]
NOWHERE = Scope(frozenset())


@router.get("", responses=responses(BadRequest))
async def list_changes(
    scope: MayRead,
    connection: ConnectionDep,
    user: CurrentUser,
    kind: Annotated[ChangeKind | None, Query(description="The kind of change")] = None,
    actor: Annotated[Stored | None, Query(max_length=1000, description="The actor's name")] = None,
    actor_kind: Annotated[ActorKind | None, Query(description="What made the change")] = None,
    q: SearchParam = "",
    since: Annotated[Time | None, Query(description="Not before this time")] = None,
    until: Annotated[Time | None, Query(description="Before this time")] = None,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
) -> Page[LoggedChange]:
    """List what changed in the policy, the newest first.

    `q` finds part of a reason, of an actor's name, or of the identifier of a single rule, and whole
    identifiers among the rules of imports.
    """
    filters = ChangeFilters(kind, actor, actor_kind, q, since, until)
    return await reads.list_changes(connection, _scopes(scope, user), filters, cursor, limit)


@router.get("/{seq}", responses=responses(BadRequest, NotFound))
async def get_change(
    seq: RowId,
    scope: MayRead,
    connection: ConnectionDep,
    user: CurrentUser,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
) -> ChangeDetails:
    """Show what a change did to rules and settings; its rules come in pages."""
    return await reads.change_details(connection, _scopes(scope, user), seq, cursor, limit)


@router.post("/{seq}/revert", responses=responses(NotFound, Conflict, Unprocessable))
async def revert_change(
    seq: RowId,
    wanted: ChangeRevert,
    scope: MayWrite,
    work: ConfirmedWorkDep,
    user: CurrentUser,
    now: NowDep,
) -> RevertPlan:
    """Take a change back by a new one, or report what that would do (`dry_run`).

    A change of settings needs the permission settings:write too.
    """
    return await service.revert(work, scope, seq, wanted, user, now)


def _scopes(rules: Scope, user: User) -> Scopes:
    return Scopes(rules, user.scope_of(Permission.SETTINGS_READ) or NOWHERE)
