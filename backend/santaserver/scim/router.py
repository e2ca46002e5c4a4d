"""SCIM tokens in the REST interface, and what was provisioned. SCIM itself is in endpoint.py."""

from http import HTTPStatus

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, NowDep, StateDep, WorkDep
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
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page
from santaserver.routing import AreaRouter
from santaserver.scim import state, token_service
from santaserver.scim.token_schemas import ScimState, ScimToken, ScimTokenCreate, ScimTokenSecret
from santaserver.tokens.schemas import TokenRotate

router = AreaRouter(prefix="/scim", tags=["scim"], responses=responses(Unauthorized, Forbidden))

MAY_READ = require("user:read")
MAY_WRITE = require("user:write", fresh=True)


@router.get("", dependencies=[MAY_READ])
async def get_scim_state(connection: ConnectionDep, app: StateDep) -> ScimState:
    """Show where the directory has to send people and groups, and how many it has sent."""
    return await state.current(connection, app.settings)


@router.get("/tokens", dependencies=[MAY_READ], responses=responses(BadRequest))
async def list_scim_tokens(
    connection: ConnectionDep, cursor: CursorParam = None, limit: LimitParam = DEFAULT_LIMIT
) -> Page[ScimToken]:
    """List the tokens with which a directory provisions people and groups; revoked ones are left out."""
    return await token_service.list_tokens(connection, cursor, limit)


@router.post(
    "/tokens",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.CREATED,
    responses=responses(Conflict, Unprocessable),
)
async def create_scim_token(
    wanted: ScimTokenCreate, user: CurrentUser, work: WorkDep, now: NowDep
) -> ScimTokenSecret:
    """Create a SCIM token; its secret is shown this once. Needs all permissions, everywhere."""
    return await token_service.create_token(work, wanted, user, now)


@router.get("/tokens/{scim_token_id}", dependencies=[MAY_READ], responses=responses(NotFound))
async def get_scim_token(scim_token_id: RowId, connection: ConnectionDep) -> ScimToken:
    """Show a SCIM token, also one that was revoked."""
    return await token_service.get_token(connection, scim_token_id)


@router.post(
    "/tokens/{scim_token_id}/rotate",
    dependencies=[MAY_WRITE],
    responses=responses(NotFound, Conflict, Unprocessable),
)
async def rotate_scim_token(
    scim_token_id: RowId, wanted: TokenRotate, user: CurrentUser, work: WorkDep, now: NowDep
) -> ScimTokenSecret:
    """Give a SCIM token another secret, shown this once; the present one can stay valid for a while."""
    return await token_service.rotate_token(work, scim_token_id, wanted, user, now)


@router.delete(
    "/tokens/{scim_token_id}",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(NotFound),
)
async def revoke_scim_token(scim_token_id: RowId, user: CurrentUser, work: WorkDep, now: NowDep) -> None:
    """Revoke a SCIM token for good, at once."""
    await token_service.revoke_token(work, scim_token_id, user.actor, now)
