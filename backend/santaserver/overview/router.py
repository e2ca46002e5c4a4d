"""The numbers of the first page."""

from fastapi import Response

from santaserver.authorization import require
from santaserver.deps import CurrentUser, StateDep
from santaserver.errors import Forbidden, Unauthorized, responses
from santaserver.overview import service
from santaserver.overview.schemas import Overview
from santaserver.routing import AreaRouter

router = AreaRouter(prefix="/overview", tags=["overview"], responses=responses(Unauthorized, Forbidden))


@router.get("", dependencies=[require("overview:read")], response_model=Overview)
async def get_overview(state: StateDep, user: CurrentUser) -> Response:
    """Count machines, rules and the events of the last 24 hours."""

    async def count() -> Overview:
        async with state.database.read(user.id) as connection:
            return await service.get_overview(connection, state.clock())

    overview = await state.overview.read(count)
    return Response(overview.model_dump_json(), media_type="application/json")
