"""List roles; make and change custom ones."""

from http import HTTPStatus

from fastapi import Response

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, IfMatchDep, NowDep, WorkDep
from santaserver.errors import CHANGING, Conflict, Forbidden, NotFound, Unauthorized, Unprocessable, responses
from santaserver.inputs import RowId
from santaserver.reads import tagged
from santaserver.roles.schemas import RoleCreate, RoleInfo, RoleList, RoleUpdate
from santaserver.routing import AreaRouter
from santaserver.users import role_service as service

router = AreaRouter(prefix="/roles", tags=["roles"], responses=responses(Unauthorized, Forbidden))

MAY_READ = require("user:read")
MAY_WRITE = require("user:write", fresh=True)


@router.get("", dependencies=[MAY_READ])
async def list_roles(connection: ConnectionDep) -> RoleList:
    """List all roles with what they grant, and all permissions there are."""
    return await service.list_roles(connection)


@router.post(
    "",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.CREATED,
    responses=responses(Conflict, Unprocessable),
)
async def create_role(
    wanted: RoleCreate, work: WorkDep, user: CurrentUser, now: NowDep, response: Response
) -> RoleInfo:
    """Make a role out of permissions; only of those that you have everywhere."""
    return tagged(response, await service.create_role(work, wanted, user, now))


@router.get("/{role_id}", dependencies=[MAY_READ], responses=responses(NotFound))
async def get_role(role_id: RowId, connection: ConnectionDep, response: Response) -> RoleInfo:
    """Show a custom role."""
    return tagged(response, await service.get_role(connection, role_id))


@router.patch("/{role_id}", dependencies=[MAY_WRITE], responses=CHANGING | responses(Conflict, Unprocessable))
async def update_role(
    role_id: RowId,
    wanted: RoleUpdate,
    expected: IfMatchDep,
    work: WorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> RoleInfo:
    """Change a custom role: what its users and groups may do changes at once."""
    return tagged(response, await service.update_role(work, role_id, wanted, expected, user, now))


@router.delete(
    "/{role_id}",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=CHANGING | responses(Conflict),
)
async def delete_role(
    role_id: RowId, expected: IfMatchDep, work: WorkDep, user: CurrentUser, now: NowDep
) -> None:
    """Delete a custom role that nobody has."""
    await service.delete_role(work, role_id, expected, user, now)
