"""Tags, their order and their members."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Response

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, GuardedWorkDep, NowDep, WorkDep
from santaserver.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
    Unprocessable,
    responses,
)
from santaserver.inputs import ReasonParam, RowId
from santaserver.machine_path import MachinePath
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page
from santaserver.reads import json_response
from santaserver.routing import AreaRouter
from santaserver.scope import Scope
from santaserver.tags import service
from santaserver.tags.member_repository import MemberChange
from santaserver.tags.schemas import (
    PredicateResult,
    PredicateTrial,
    Tag,
    TagChange,
    TagMember,
    TagOrder,
    TagOrderChange,
    TagOrderImpact,
)

router = AreaRouter(prefix="/tags", tags=["tags"], responses=responses(Unauthorized, Forbidden))

MayRead = Annotated[Scope, require("tag:read")]
MayWrite = Annotated[Scope, require("tag:write")]
MayAssign = Annotated[Scope, require("tag:assign")]


@router.get("", response_model=list[Tag])
async def list_tags(scope: MayRead, connection: ConnectionDep) -> Response:
    """List tags in their order, the lowest first."""
    return json_response(await service.read_tags(connection, scope))


@router.post("", status_code=HTTPStatus.CREATED, responses=responses(Conflict, Unprocessable))
async def create_tag(tag: TagChange, scope: MayWrite, work: WorkDep, user: CurrentUser, now: NowDep) -> Tag:
    """Create a tag above all others."""
    return await service.create_tag(work, scope, tag, user.actor, now, tag.reason)


@router.put("/order", responses=responses(Conflict, Unprocessable))
async def order_tags(
    order: TagOrderChange, scope: MayWrite, work: GuardedWorkDep, user: CurrentUser, now: NowDep
) -> list[Tag]:
    """Put the tags into a new order; Macs get what it changes at their next sync."""
    return await service.order_tags(work, scope, order.tags, user.actor, now, order.reason)


@router.post("/order/impact", responses=responses(Conflict))
async def tag_order_impact(order: TagOrder, scope: MayWrite, connection: ConnectionDep) -> TagOrderImpact:
    """Count the Macs that another order would affect, without applying it."""
    return await service.order_impact(connection, scope, order.tags)


@router.post("/predicate")
async def try_predicate(trial: PredicateTrial, _: MayWrite, connection: ConnectionDep) -> PredicateResult:
    """Try a predicate on the Macs that synced last, without storing it."""
    return await service.try_predicate(connection, trial.predicate)


@router.get("/{tag_id}", response_model=Tag, responses=responses(NotFound))
async def get_tag(tag_id: RowId, scope: MayRead, connection: ConnectionDep) -> Response:
    """Show one tag."""
    return json_response(await service.read_tag(connection, scope, tag_id))


@router.put("/{tag_id}", responses=responses(NotFound, Conflict, Unprocessable))
async def update_tag(
    tag_id: RowId, tag: TagChange, scope: MayWrite, work: GuardedWorkDep, user: CurrentUser, now: NowDep
) -> Tag:
    """Change a tag; memberships that follow from it change at each Mac's next sync."""
    return await service.update_tag(work, scope, tag_id, tag, user.actor, now, tag.reason)


@router.delete("/{tag_id}", status_code=HTTPStatus.NO_CONTENT, responses=responses(NotFound, Unprocessable))
async def remove_tag(
    tag_id: RowId,
    scope: MayWrite,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    reason: ReasonParam = "",
) -> None:
    """Remove a tag with all rules and settings of its layer."""
    await service.remove_tag(work, scope, tag_id, user.actor, now, reason)


@router.get("/{tag_id}/members", response_model=Page[TagMember], responses=responses(BadRequest, NotFound))
async def list_members(
    tag_id: RowId,
    scope: MayRead,
    connection: ConnectionDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
) -> Response:
    """List the Macs that have a tag, and why."""
    return json_response(await service.read_members(connection, scope, tag_id, cursor, limit))


@router.put(
    "/{tag_id}/members/{machine_id:path}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(NotFound),
)
async def add_member(
    tag_id: RowId,
    machine_id: MachinePath,
    scope: MayAssign,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    reason: ReasonParam = "",
) -> None:
    """Add a tag to a Mac."""
    change = MemberChange(tag_id, machine_id, member=True, reason=reason)
    await service.set_member(work, scope, change, user.actor, now)


@router.delete(
    "/{tag_id}/members/{machine_id:path}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(NotFound),
)
async def remove_member(
    tag_id: RowId,
    machine_id: MachinePath,
    scope: MayAssign,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    reason: ReasonParam = "",
) -> None:
    """Remove a tag that was assigned manually; enrollment, group and predicate may still assign it."""
    change = MemberChange(tag_id, machine_id, member=False, reason=reason)
    await service.set_member(work, scope, change, user.actor, now)
