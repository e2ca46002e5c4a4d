"""Groups, their roles and members; what the environment says of groups."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Query, Response

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, IfMatchDep, NowDep, StateDep, WorkDep
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
from santaserver.groups import member_service, service
from santaserver.groups.repository import Source
from santaserver.groups.schemas import (
    EnvironmentRole,
    EnvironmentRoles,
    Group,
    GroupCreate,
    GroupMember,
    GroupUpdate,
)
from santaserver.inputs import RowId
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page, SearchParam
from santaserver.reads import tagged
from santaserver.routing import AreaRouter

router = AreaRouter(prefix="/groups", tags=["groups"], responses=responses(Unauthorized, Forbidden))

MAY_READ = require("user:read")
MAY_WRITE = require("user:write", fresh=True)
MEMBER = "/{group_id}/members/{user_id}"


@router.get("", dependencies=[MAY_READ], responses=responses(BadRequest))
async def list_groups(
    connection: ConnectionDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
    q: SearchParam = "",
    source: Annotated[Source | None, Query(description="Only groups of this kind")] = None,
) -> Page[Group]:
    """List groups with their roles, the oldest first."""
    return await service.list_groups(connection, cursor, limit, q, source)


@router.post(
    "",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.CREATED,
    responses=responses(Conflict, Unprocessable),
)
async def create_group(
    wanted: GroupCreate, work: WorkDep, user: CurrentUser, now: NowDep, response: Response
) -> Group:
    """Make a local group, or name a group or app role of the identity provider, and give it roles."""
    return tagged(response, await service.create_group(work, wanted, user, now))


@router.get("/environment", dependencies=[MAY_READ])
async def environment_roles(state: StateDep) -> EnvironmentRoles:
    """Show the roles that `OIDC_GROUP_ROLES` gives to groups of the identity provider, read-only."""
    roles = state.settings.identity.group_roles
    pairs = [(group, role) for group in sorted(roles) for role in sorted(roles[group])]
    return EnvironmentRoles(items=[EnvironmentRole(group=group, role=role) for group, role in pairs])


@router.get("/{group_id}", dependencies=[MAY_READ], responses=responses(NotFound))
async def get_group(group_id: RowId, connection: ConnectionDep, response: Response) -> Group:
    """Show one group."""
    return tagged(response, await service.get_group(connection, group_id))


@router.patch(
    "/{group_id}", dependencies=[MAY_WRITE], responses=CHANGING | responses(Conflict, Unprocessable)
)
async def update_group(
    group_id: RowId,
    wanted: GroupUpdate,
    expected: IfMatchDep,
    work: WorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> Group:
    """Change a group or its roles; of one that SCIM keeps only the description and the roles."""
    return tagged(response, await service.update_group(work, group_id, wanted, expected, user, now))


@router.delete(
    "/{group_id}",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=CHANGING | responses(Conflict),
)
async def delete_group(
    group_id: RowId, expected: IfMatchDep, work: WorkDep, user: CurrentUser, now: NowDep
) -> None:
    """Delete a group, whose members lose its roles."""
    await service.delete_group(work, group_id, expected, user, now)


@router.get("/{group_id}/members", dependencies=[MAY_READ], responses=responses(BadRequest, NotFound))
async def list_group_members(
    group_id: RowId,
    connection: ConnectionDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
) -> Page[GroupMember]:
    """List the members of a group."""
    return await member_service.list_members(connection, group_id, cursor, limit)


@router.put(
    MEMBER,
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(NotFound, Conflict),
)
async def add_group_member(
    group_id: RowId, user_id: RowId, work: WorkDep, user: CurrentUser, now: NowDep
) -> None:
    """Add a user to a local group."""
    await member_service.add_member(work, group_id, user_id, user, now)


@router.delete(
    MEMBER,
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(NotFound, Conflict),
)
async def remove_group_member(
    group_id: RowId, user_id: RowId, work: WorkDep, user: CurrentUser, now: NowDep
) -> None:
    """Take a user out of a local group."""
    await member_service.remove_member(work, group_id, user_id, user, now)
