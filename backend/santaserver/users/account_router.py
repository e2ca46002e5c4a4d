"""List, create and change users."""

from http import HTTPStatus

from fastapi import Response

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
from santaserver.inputs import RowId
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page, SearchParam
from santaserver.reads import tagged
from santaserver.routing import AreaRouter
from santaserver.users import account_service as service
from santaserver.users import second_factor_service, setup_service
from santaserver.users.account_schemas import SetupLink, UserAccount, UserCreate, UserUpdate
from santaserver.users.explanation import PermissionExplanation, explain

router = AreaRouter(prefix="/users", tags=["users"], responses=responses(Unauthorized, Forbidden))

MAY_READ = require("user:read")
MAY_WRITE = require("user:write", fresh=True)


@router.get("", dependencies=[MAY_READ], responses=responses(BadRequest))
async def list_users(
    connection: ConnectionDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
    q: SearchParam = "",
) -> Page[UserAccount]:
    """List users by name, with their roles."""
    return await service.list_users(connection, cursor, limit, q)


@router.post(
    "",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.CREATED,
    responses=responses(Conflict, Unprocessable),
)
async def create_user(
    wanted: UserCreate, work: WorkDep, user: CurrentUser, now: NowDep, response: Response
) -> UserAccount:
    """Create a user with a password."""
    return tagged(response, await service.create_user(work, wanted, user, now))


@router.get("/{user_id}", dependencies=[MAY_READ], responses=responses(NotFound))
async def get_user(user_id: RowId, connection: ConnectionDep, response: Response) -> UserAccount:
    """Show one user."""
    return tagged(response, await service.get_user(connection, user_id))


@router.get("/{user_id}/permissions", dependencies=[MAY_READ], responses=responses(NotFound))
async def explain_permissions(user_id: RowId, connection: ConnectionDep) -> PermissionExplanation:
    """Tell what a user may do, where, and through which role, group or tag."""
    return explain(await service.find(connection, user_id))


@router.patch("/{user_id}", dependencies=[MAY_WRITE], responses=CHANGING | responses(Conflict, Unprocessable))
async def update_user(
    user_id: RowId,
    wanted: UserUpdate,
    expected: IfMatchDep,
    work: WorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> UserAccount:
    """Change a user: name, password, roles, or whether it may log in. An administrator always stays."""
    return tagged(response, await service.update_user(work, user_id, wanted, expected, user, now))


@router.delete(
    "/{user_id}",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=CHANGING | responses(Conflict),
)
async def delete_user(
    user_id: RowId, expected: IfMatchDep, work: WorkDep, user: CurrentUser, now: NowDep
) -> None:
    """Delete a user, with sessions and API tokens. To keep the name in lists, disable the user instead."""
    await service.delete_user(work, user_id, expected, user, now)


@router.delete(
    "/{user_id}/second-factor",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(NotFound),
)
async def reset_second_factor(user_id: RowId, work: WorkDep, user: CurrentUser, now: NowDep) -> None:
    """Remove the authenticator app, passkeys and recovery codes of a user who has lost them."""
    await second_factor_service.reset(work, user_id, user, now)


@router.post(
    "/{user_id}/setup-link",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.CREATED,
    responses=responses(NotFound, Conflict),
)
async def create_setup_link(
    user_id: RowId, work: WorkDep, user: CurrentUser, state: StateDep, now: NowDep
) -> SetupLink:
    """Make a link with which the user chooses a password, once; an earlier link ends."""
    public_url = state.settings.server.public_url
    return await setup_service.create_link(work, user_id, public_url, user, now)
