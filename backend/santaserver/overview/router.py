"""The numbers of the first page."""

from fastapi import Response

from santaserver.deps import ConnectionDep, NowDep
from santaserver.errors import Unauthorized, responses
from santaserver.overview import service
from santaserver.overview.schemas import Overview
from santaserver.routing import AreaRouter

router = AreaRouter(prefix="/overview", tags=["overview"], responses=responses(Unauthorized))


@router.get("", response_model=Overview)
async def get_overview(connection: ConnectionDep, now: NowDep) -> Response:
    """Count machines, rules and the events of the last 24 hours."""
    overview = await service.get_overview(connection, now)
    return Response(overview.model_dump_json(), media_type="application/json")
