"""List, create, change and remove the organization's essentials."""

from http import HTTPStatus

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, NowDep, WorkDep
from santaserver.errors import Conflict, Forbidden, NotFound, Unauthorized, Unprocessable, responses
from santaserver.essentials import service
from santaserver.essentials.schemas import EssentialChange, EssentialCreate, OwnEssential
from santaserver.inputs import RowId
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
    essential: EssentialCreate, work: WorkDep, user: CurrentUser, now: NowDep
) -> OwnEssential:
    """Add a program that no change may block; a warning says where it is blocked already."""
    return await service.create_essential(work, essential, user.actor, now)


@router.patch(
    "/{essential_id}", dependencies=[MAY_WRITE], responses=responses(NotFound, Conflict, Unprocessable)
)
async def change_essential(
    essential_id: RowId, change: EssentialChange, work: WorkDep, user: CurrentUser, now: NowDep
) -> OwnEssential:
    """Change an essential; what is left out stays."""
    return await service.change_essential(work, essential_id, change, user.actor, now)


@router.delete(
    "/{essential_id}",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(NotFound),
)
async def remove_essential(essential_id: RowId, work: WorkDep, user: CurrentUser, now: NowDep) -> None:
    """Remove an essential; changes may block the program from then on."""
    await service.remove_essential(work, essential_id, user.actor, now)
