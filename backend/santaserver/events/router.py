"""List events, look at one."""

from typing import Annotated

from fastapi import APIRouter, Query

from santaserver.deps import CurrentUser, SessionDep
from santaserver.errors import BadRequest, NotFound, Unauthorized, responses
from santaserver.events import service
from santaserver.events.schemas import Event
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page, SearchParam

router = APIRouter(prefix="/events", tags=["events"], responses=responses(Unauthorized))


@router.get("", responses=responses(BadRequest))
async def list_events(
    session: SessionDep,
    _: CurrentUser,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
    q: SearchParam = "",
    decision: Annotated[
        str, Query(max_length=64, description="`blocked`, `allowed`, `unknown`, or Santa's exact word")
    ] = "",
    machine_id: Annotated[str, Query(max_length=1000)] = "",
) -> Page[Event]:
    """List executions, the newest first."""
    return await service.list_events(session, cursor, limit, q, decision, machine_id)


@router.get("/{event_id}", responses=responses(NotFound))
async def get_event(event_id: int, session: SessionDep, _: CurrentUser) -> Event:
    """Show one execution."""
    return await service.get_event(session, event_id)
