"""The state of the server, for operators."""

from typing import Annotated

from fastapi import Depends, Request

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, StateDep, state_of
from santaserver.errors import Forbidden, Unauthorized, responses
from santaserver.routing import AreaRouter
from santaserver.status import service
from santaserver.status.processes import read_processes
from santaserver.status.schemas import ProcessStatus, ServerStatus

router = AreaRouter(prefix="/status", tags=["status"], responses=responses(Unauthorized, Forbidden))


async def get_processes(request: Request) -> ProcessStatus:
    """Ask santa-supervise; named before the connection, so none is held meanwhile."""
    return await read_processes(state_of(request).settings.server.supervisor_socket)


@router.get("", dependencies=[require("status:read", everywhere=True)])
async def get_status(
    state: StateDep,
    processes: Annotated[ProcessStatus, Depends(get_processes)],
    connection: ConnectionDep,
) -> ServerStatus:
    """Show services, database, connections, schedule, audit log and kept data, as this worker sees them."""
    return await service.get_status(state, processes, connection)
