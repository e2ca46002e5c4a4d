"""List programs, show one."""

from typing import Annotated

from fastapi import Query

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, NowDep
from santaserver.errors import BadRequest, Forbidden, NotFound, Unauthorized, responses
from santaserver.inputs import RowId
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page
from santaserver.programs import service
from santaserver.programs.schemas import Outcome, Program
from santaserver.routing import AreaRouter
from santaserver.scope import Scope

router = AreaRouter(prefix="/programs", tags=["programs"], responses=responses(Unauthorized, Forbidden))

MayRead = Annotated[Scope, require("program:read")]

TextParam = Annotated[
    str,
    Query(
        max_length=200,
        description="Part of a name, path, signing ID, bundle or publisher; or a whole hash or team ID",
    ),
]


@router.get("", responses=responses(BadRequest))
async def list_programs(
    _: MayRead,
    connection: ConnectionDep,
    now: NowDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
    q: TextParam = "",
    outcome: Annotated[
        Outcome | None, Query(description="Only programs that were blocked, or allowed, at least once")
    ] = None,
) -> Page[Program]:
    """List programs that Macs reported, those seen last first."""
    return await service.list_programs(connection, cursor, limit, q.replace("\0", ""), outcome, now)


@router.get("/{program_id}", responses=responses(NotFound))
async def get_program(program_id: RowId, _: MayRead, connection: ConnectionDep) -> Program:
    """Show one program."""
    return await service.get_program(connection, program_id)
