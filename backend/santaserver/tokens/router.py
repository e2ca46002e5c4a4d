"""API tokens: the own ones, and those of service accounts."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Query

from santaserver.authorization import in_person
from santaserver.deps import ConnectionDep, CurrentUser, NowDep, WorkDep
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
from santaserver.permissions import Permission
from santaserver.routing import AreaRouter
from santaserver.tokens import service
from santaserver.tokens.schemas import Token, TokenCreate, TokenRotate, TokenSecret
from santaserver.tokens.secret import OwnerKind

router = AreaRouter(prefix="/tokens", tags=["tokens"], responses=responses(Unauthorized, Forbidden))

READ = in_person("their own tokens; all with `user:read`")
CREATE = in_person("for themselves; for service accounts with `user:write`", fresh=True)
ROTATE = in_person("their own; of service accounts with `user:write`", fresh=True)
REVOKE = in_person("their own; all with `user:write`", fresh=True)

Owner = Annotated[RowId | None, Query(description="Tokens of this user; needs `user:read`")]
Kind = Annotated[
    OwnerKind | None, Query(description="Tokens of all persons or all service accounts; needs `user:read`")
]


@router.get("", dependencies=[READ], responses=responses(BadRequest))
async def list_tokens(
    connection: ConnectionDep,
    user: CurrentUser,
    user_id: Owner = None,
    kind: Kind = None,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
) -> Page[Token]:
    """List your own tokens, those of a user, or those of all owners of a kind; revoked ones are left out."""
    owner = user.id if user_id is None and kind is None else user_id
    if owner != user.id:
        user.require(Permission.USER_READ)
    return await service.list_tokens(connection, owner, kind, cursor, limit)


@router.post(
    "",
    dependencies=[CREATE],
    status_code=HTTPStatus.CREATED,
    responses=responses(NotFound, Conflict, Unprocessable),
)
async def create_token(wanted: TokenCreate, user: CurrentUser, work: WorkDep, now: NowDep) -> TokenSecret:
    """Create a token; its secret is shown this once."""
    if wanted.user_id is not None and wanted.user_id != user.id:
        user.require(Permission.USER_WRITE)
    return await service.create_token(work, wanted, user, now)


@router.get("/{token_id}", dependencies=[READ], responses=responses(NotFound))
async def get_token(token_id: RowId, connection: ConnectionDep, user: CurrentUser) -> Token:
    """Show a token, also one that was revoked."""
    return await service.get_token(connection, token_id, user)


@router.post(
    "/{token_id}/rotate", dependencies=[ROTATE], responses=responses(NotFound, Conflict, Unprocessable)
)
async def rotate_token(
    token_id: RowId, wanted: TokenRotate, user: CurrentUser, work: WorkDep, now: NowDep
) -> TokenSecret:
    """Give a token another secret, shown this once; the present one can stay valid for a while."""
    return await service.rotate_token(work, token_id, wanted, user, now)


@router.delete(
    "/{token_id}", dependencies=[REVOKE], status_code=HTTPStatus.NO_CONTENT, responses=responses(NotFound)
)
async def revoke_token(token_id: RowId, user: CurrentUser, work: WorkDep, now: NowDep) -> None:
    """Revoke a token for good, within seconds everywhere."""
    await service.revoke_token(work, token_id, user, now)
