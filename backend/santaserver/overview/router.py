"""The numbers of the first page."""

from fastapi import APIRouter

from santaserver.deps import CurrentUser, NowDep, SessionDep
from santaserver.errors import Unauthorized, responses
from santaserver.overview import service
from santaserver.overview.schemas import Overview

router = APIRouter(prefix="/overview", tags=["overview"], responses=responses(Unauthorized))


@router.get("")
async def get_overview(session: SessionDep, _: CurrentUser, now: NowDep) -> Overview:
    """Count machines, rules and the events of the last 24 hours."""
    return await service.get_overview(session, now)
