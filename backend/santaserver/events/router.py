"""List events, show one."""

from typing import Annotated

from fastapi import Query

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, NowDep
from santaserver.errors import BadRequest, Forbidden, NotFound, Unauthorized, responses
from santaserver.events import service
from santaserver.events.repository import Search
from santaserver.events.schemas import Event
from santaserver.inputs import RowId, Stored
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page
from santaserver.routing import AreaRouter
from santaserver.scope import Scope

router = AreaRouter(prefix="/events", tags=["events"], responses=responses(Unauthorized, Forbidden))

MayRead = Annotated[Scope, require("event:read")]

TextParam = Annotated[
    Stored,
    Query(
        max_length=200,
        description="Part of a program's name, path, signing ID or bundle, or of a host name or serial "
        "number; or a whole SHA-256, CDHash, team ID, machine id or user name",
    ),
]


@router.get("", responses=responses(BadRequest))
async def list_events(
    scope: MayRead,
    connection: ConnectionDep,
    now: NowDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
    q: TextParam = "",
    decision: Annotated[
        Stored, Query(max_length=64, description="`blocked`, `allowed`, `unknown`, or Santa's exact word")
    ] = "",
    machine_id: Annotated[Stored, Query(max_length=1000)] = "",
) -> Page[Event]:
    """List executions, the newest first."""
    words = (text.replace("\0", "") for text in (q, decision, machine_id))
    return await service.list_events(connection, scope, cursor, limit, Search(*words), now)


@router.get("/{event_id}", responses=responses(NotFound))
async def get_event(event_id: RowId, scope: MayRead, connection: ConnectionDep) -> Event:
    """Show one execution."""
    return await service.get_event(connection, scope, event_id)
