"""List, create, change and remove the organization's essentials."""

from http import HTTPStatus

from fastapi import Response

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, IfMatchDep, NowDep, WorkDep
from santaserver.errors import CHANGING, Conflict, Forbidden, NotFound, Unauthorized, Unprocessable, responses
from santaserver.essentials import service
from santaserver.essentials.schemas import EssentialChange, EssentialCreate, OwnEssential
from santaserver.inputs import RowId
from santaserver.reads import tagged
from santaserver.routing import AreaRouter

router = AreaRouter(prefix="/essentials", tags=["essentials"], responses=responses(Unauthorized, Forbidden))

MAY_READ = require("essential:read", everywhere=True)
MAY_WRITE = require("essential:write", everywhere=True)


@router.get("", dependencies=[MAY_READ])
async def list_own_essentials(connection: ConnectionDep) -> list[OwnEssential]:
    """List the programs that no change may block on any Mac, by name."""
    return await service.list_essentials(connection)


@router.post(
    "",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.CREATED,
    responses=responses(Conflict, Unprocessable),
)
async def create_essential(
    essential: EssentialCreate, work: WorkDep, user: CurrentUser, now: NowDep, response: Response
) -> OwnEssential:
    """Add a program that no change may block; a warning says where it is blocked already."""
    return tagged(response, await service.create_essential(work, essential, user.actor, now))


@router.get("/{essential_id}", dependencies=[MAY_READ], responses=responses(NotFound))
async def get_essential(essential_id: RowId, connection: ConnectionDep, response: Response) -> OwnEssential:
    """Show one essential."""
    return tagged(response, await service.get_essential(connection, essential_id))


@router.patch(
    "/{essential_id}", dependencies=[MAY_WRITE], responses=CHANGING | responses(Conflict, Unprocessable)
)
async def change_essential(
    essential_id: RowId,
    change: EssentialChange,
    expected: IfMatchDep,
    work: WorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> OwnEssential:
    """Change an essential; what is left out stays."""
    changed = await service.change_essential(work, essential_id, change, expected, user.actor, now)
    return tagged(response, changed)


@router.delete(
    "/{essential_id}",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=CHANGING,
)
async def remove_essential(
    essential_id: RowId, expected: IfMatchDep, work: WorkDep, user: CurrentUser, now: NowDep
) -> None:
    """Remove an essential; changes may block the program from then on."""
    await service.remove_essential(work, essential_id, expected, user.actor, now)
