"""The state of the server, for operators."""

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, StateDep
from santaserver.errors import Forbidden, Unauthorized, responses
from santaserver.routing import AreaRouter
from santaserver.status import service
from santaserver.status.schemas import ServerStatus

router = AreaRouter(prefix="/status", tags=["status"], responses=responses(Unauthorized, Forbidden))


@router.get("", dependencies=[require("status:read", everywhere=True)])
async def get_status(state: StateDep, connection: ConnectionDep) -> ServerStatus:
    """Show database, connections, schedule, audit log and kept data, as this worker sees them."""
    return await service.get_status(state, connection)
