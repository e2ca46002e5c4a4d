"""Tags, their order and their members."""

from http import HTTPStatus

from fastapi import Response

from santaserver.deps import AdminUser, ConnectionDep, NowDep, WorkDep
from santaserver.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
    Unprocessable,
    responses,
)
from santaserver.inputs import RowId
from santaserver.machine_path import MachinePath
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page
from santaserver.reads import json_response
from santaserver.routing import AreaRouter
from santaserver.tags import service
from santaserver.tags.schemas import (
    PredicateResult,
    PredicateTrial,
    Tag,
    TagContent,
    TagMember,
    TagOrder,
    TagOrderImpact,
)

router = AreaRouter(prefix="/tags", tags=["tags"], responses=responses(Unauthorized))


@router.get("", response_model=list[Tag])
async def list_tags(connection: ConnectionDep) -> Response:
    """List tags in their order, the lowest first."""
    return json_response(await service.read_tags(connection))


@router.post("", status_code=HTTPStatus.CREATED, responses=responses(Forbidden, Conflict, Unprocessable))
async def create_tag(tag: TagContent, work: WorkDep, user: AdminUser, now: NowDep) -> Tag:
    """Create a tag above all others."""
    return await service.create_tag(work, tag, user.actor, now)


@router.put("/order", responses=responses(Forbidden, Conflict))
async def order_tags(order: TagOrder, work: WorkDep, user: AdminUser, now: NowDep) -> list[Tag]:
    """Put the tags into a new order; Macs get what it changes at their next sync."""
    return await service.order_tags(work, order.tags, user.actor, now)


@router.post("/order/impact", responses=responses(Forbidden, Conflict))
async def tag_order_impact(order: TagOrder, connection: ConnectionDep, _: AdminUser) -> TagOrderImpact:
    """Count the Macs that another order would affect, without applying it."""
    return await service.order_impact(connection, order.tags)


@router.post("/predicate", responses=responses(Forbidden))
async def try_predicate(trial: PredicateTrial, connection: ConnectionDep, _: AdminUser) -> PredicateResult:
    """Try a predicate on the Macs that synced last, without storing it."""
    return await service.try_predicate(connection, trial.predicate)


@router.get("/{tag_id}", response_model=Tag, responses=responses(NotFound))
async def get_tag(tag_id: RowId, connection: ConnectionDep) -> Response:
    """Show one tag."""
    return json_response(await service.read_tag(connection, tag_id))


@router.put("/{tag_id}", responses=responses(NotFound, Forbidden, Conflict, Unprocessable))
async def update_tag(tag_id: RowId, tag: TagContent, work: WorkDep, user: AdminUser, now: NowDep) -> Tag:
    """Change a tag; memberships that follow from it change at each Mac's next sync."""
    return await service.update_tag(work, tag_id, tag, user.actor, now)


@router.delete("/{tag_id}", status_code=HTTPStatus.NO_CONTENT, responses=responses(NotFound, Forbidden))
async def remove_tag(tag_id: RowId, work: WorkDep, user: AdminUser, now: NowDep) -> None:
    """Remove a tag with all rules and settings of its layer."""
    await service.remove_tag(work, tag_id, user.actor, now)


@router.get("/{tag_id}/members", response_model=Page[TagMember], responses=responses(BadRequest, NotFound))
async def list_members(
    tag_id: RowId,
    connection: ConnectionDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
) -> Response:
    """List the Macs that have a tag, and why."""
    return json_response(await service.read_members(connection, tag_id, cursor, limit))


@router.put(
    "/{tag_id}/members/{machine_id:path}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(NotFound, Forbidden),
)
async def add_member(
    tag_id: RowId, machine_id: MachinePath, work: WorkDep, user: AdminUser, now: NowDep
) -> None:
    """Add a tag to a Mac."""
    await service.set_member(work, tag_id, machine_id, user.actor, now, member=True)


@router.delete(
    "/{tag_id}/members/{machine_id:path}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(NotFound, Forbidden),
)
async def remove_member(
    tag_id: RowId, machine_id: MachinePath, work: WorkDep, user: AdminUser, now: NowDep
) -> None:
    """Remove a tag that was assigned manually; enrollment, group and predicate may still assign it."""
    await service.set_member(work, tag_id, machine_id, user.actor, now, member=False)
