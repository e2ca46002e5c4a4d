"""Tags, their order and their members."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Response

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, GuardedWorkDep, IfMatchDep, NowDep, WorkDep
from santaserver.errors import (
    CHANGING,
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
from santaserver.reads import json_response, tagged
from santaserver.routing import AreaRouter
from santaserver.scope import Scope
from santaserver.tags import service
from santaserver.tags.member_repository import MemberChange
from santaserver.tags.schemas import (
    Membership,
    PredicateResult,
    PredicateTrial,
    PresentOrder,
    Tag,
    TagCreate,
    TagMember,
    TagOrder,
    TagOrderChange,
    TagOrderImpact,
    TagPatch,
    TagUpdate,
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
async def create_tag(
    tag: TagCreate, scope: MayWrite, work: WorkDep, user: CurrentUser, now: NowDep, response: Response
) -> Tag:
    """Create a tag above all others."""
    return tagged(response, await service.create_tag(work, scope, tag, user.actor, now, tag.reason))


@router.get("/order", dependencies=[require("tag:read", everywhere=True)])
async def get_order(connection: ConnectionDep, response: Response) -> PresentOrder:
    """Show the order of all tags."""
    return tagged(response, await service.get_order(connection))


@router.put("/order", responses=CHANGING | responses(Conflict))
async def order_tags(
    order: TagOrderChange,
    scope: MayWrite,
    expected: IfMatchDep,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> list[Tag]:
    """Put the tags into a new order; Macs get what it changes at their next sync."""
    ordered = await service.order_tags(work, scope, order.tags, expected, user.actor, now, order.reason)
    tags, response.headers["ETag"] = ordered
    return tags


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
    tag, etag = await service.read_tag(connection, scope, tag_id)
    return json_response(tag, etag=etag)


@router.put("/{tag_id}", responses=CHANGING | responses(Conflict, Unprocessable))
async def update_tag(
    tag_id: RowId,
    tag: TagUpdate,
    scope: MayWrite,
    expected: IfMatchDep,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> Tag:
    """Replace a tag's definition; memberships that follow from it change at each Mac's next sync."""
    return tagged(response, await service.update_tag(work, scope, tag_id, tag, expected, user.actor, now))


@router.patch("/{tag_id}", responses=CHANGING | responses(Conflict, Unprocessable))
async def patch_tag(
    tag_id: RowId,
    patch: TagPatch,
    scope: MayWrite,
    expected: IfMatchDep,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> Tag:
    """Change some of a tag's definition; what the request leaves out stays."""
    return tagged(response, await service.update_tag(work, scope, tag_id, patch, expected, user.actor, now))


@router.delete("/{tag_id}", status_code=HTTPStatus.NO_CONTENT, responses=CHANGING)
async def remove_tag(
    tag_id: RowId,
    scope: MayWrite,
    expected: IfMatchDep,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    reason: ReasonParam = "",
) -> None:
    """Remove a tag with all rules and settings of its layer."""
    await service.remove_tag(work, scope, tag_id, expected, user.actor, now, reason)


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


@router.get("/{tag_id}/members/{machine_id:path}", responses=responses(NotFound))
async def get_member(
    tag_id: RowId, machine_id: MachinePath, scope: MayRead, connection: ConnectionDep, response: Response
) -> Membership:
    """Show whether a Mac has a tag, and why."""
    return tagged(response, await service.get_membership(connection, scope, tag_id, machine_id))


@router.put("/{tag_id}/members/{machine_id:path}", status_code=HTTPStatus.NO_CONTENT, responses=CHANGING)
async def add_member(
    tag_id: RowId,
    machine_id: MachinePath,
    scope: MayAssign,
    expected: IfMatchDep,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
    reason: ReasonParam = "",
) -> None:
    """Add a tag to a Mac."""
    change = MemberChange(tag_id, machine_id, member=True, reason=reason)
    tagged(response, await service.set_member(work, scope, change, expected, user.actor, now))


@router.delete("/{tag_id}/members/{machine_id:path}", status_code=HTTPStatus.NO_CONTENT, responses=CHANGING)
async def remove_member(
    tag_id: RowId,
    machine_id: MachinePath,
    scope: MayAssign,
    expected: IfMatchDep,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
    reason: ReasonParam = "",
) -> None:
    """Remove a tag that was assigned manually; enrollment, group and predicate may still assign it."""
    change = MemberChange(tag_id, machine_id, member=False, reason=reason)
    tagged(response, await service.set_member(work, scope, change, expected, user.actor, now))
