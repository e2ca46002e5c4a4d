"""List file accesses and audit events of agents."""

from typing import Annotated

from fastapi import Query, Response

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, NowDep
from santaserver.errors import BadRequest, Forbidden, Unauthorized, responses
from santaserver.events import report_service as service
from santaserver.events.report_schemas import AgentAudit, FileAccess
from santaserver.inputs import Stored
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page
from santaserver.reads import json_response
from santaserver.routing import AreaRouter
from santaserver.scope import Scope

router = AreaRouter(tags=["events"], responses=responses(Unauthorized, Forbidden))

MayRead = Annotated[Scope, require("event:read")]

MachineParam = Annotated[Stored, Query(max_length=1000, description="Only this machine's")]


@router.get("/file-accesses", response_model=Page[FileAccess], responses=responses(BadRequest))
async def list_file_accesses(
    scope: MayRead,
    connection: ConnectionDep,
    now: NowDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
    q: Annotated[Stored, Query(max_length=200, description="Part of a rule's name or of a path")] = "",
    decision: Annotated[Stored, Query(max_length=64, description="Santa's exact word")] = "",
    machine_id: MachineParam = "",
) -> Response:
    """List accesses to watched files, the newest first."""
    text, word, machine = (part.replace("\0", "") for part in (q, decision, machine_id))
    return json_response(
        await service.list_file_accesses(connection, scope, cursor, limit, text, word, machine, now)
    )


@router.get("/agent-audits", response_model=Page[AgentAudit], responses=responses(BadRequest))
async def list_agent_audits(
    scope: MayRead,
    connection: ConnectionDep,
    now: NowDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
    machine_id: MachineParam = "",
) -> Response:
    """List audit events of agents, the newest first."""
    return json_response(
        await service.list_agent_audits(connection, scope, cursor, limit, machine_id.replace("\0", ""), now)
    )
