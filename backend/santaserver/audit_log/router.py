"""Read, export and attest the audit log."""

from typing import Annotated

from fastapi import Query, Request, Response

from santaserver.audit import ActorKind
from santaserver.audit_log import checkpoints, service
from santaserver.audit_log.delivery import send
from santaserver.audit_log.export import LogFile
from santaserver.audit_log.repository import Filters
from santaserver.audit_log.schemas import AuditCheckpoint, AuditedAct
from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, NowDep, StateDep, request_info
from santaserver.errors import BadRequest, Forbidden, NotFound, Unauthorized, responses
from santaserver.inputs import Stored, Time
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page
from santaserver.reads import json_response
from santaserver.routing import AreaRouter
from santaserver.streamed_file import StreamedFile

LINES_TYPE = "application/jsonl"

router = AreaRouter(prefix="/audit", tags=["audit"], responses=responses(Unauthorized, Forbidden))

MAY_READ = require("audit:read")


def _word(description: str) -> object:
    return Query(max_length=1000, description=description)


@router.get("", dependencies=[MAY_READ], response_model=Page[AuditedAct], responses=responses(BadRequest))
async def list_audit(
    connection: ConnectionDep,
    actor: Annotated[Stored | None, _word("The actor's name")] = None,
    actor_kind: Annotated[ActorKind | None, Query(description="The kind of actor")] = None,
    action: Annotated[Stored | None, _word("The action, such as `rule_created`")] = None,
    object_type: Annotated[Stored | None, _word("The type of the object, such as `rule`")] = None,
    object_id: Annotated[Stored | None, _word("The id of the object")] = None,
    since: Annotated[Time | None, Query(description="Not before this time")] = None,
    until: Annotated[Time | None, Query(description="Before this time")] = None,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
) -> Response:
    """List who did what, the newest first."""
    filters = Filters(actor, actor_kind, action, object_type, object_id, since, until)
    return json_response(await service.list_acts(connection, filters, cursor, limit))


@router.get(
    "/export",
    dependencies=[MAY_READ],
    response_class=Response,
    responses={200: {"content": {LINES_TYPE: {"schema": {"type": "string"}}}}},
)
async def export_audit(request: Request, state: StateDep, user: CurrentUser) -> Response:
    """Download the whole log, a line of JSON for each entry, for `audit verify`."""
    export = LogFile(state, user, request_info(request))
    return StreamedFile(export, LINES_TYPE, "santaserver-audit.jsonl")


@router.get("/checkpoint", dependencies=[MAY_READ], responses=responses(NotFound))
async def read_checkpoint(connection: ConnectionDep, state: StateDep) -> AuditCheckpoint:
    """Show the newest checkpoint."""
    found = await checkpoints.newest(connection)
    if found is None:
        raise NotFound("There is no checkpoint yet; one is made each hour")
    return checkpoints.shown(found, state.settings)


@router.post("/checkpoint", dependencies=[require("audit:write")])
async def make_checkpoint(
    request: Request, state: StateDep, user: CurrentUser, now: NowDep
) -> AuditCheckpoint:
    """Make a checkpoint now, and send it to where those of each hour go."""
    async with state.database.unit_of_work(state.bus.publish, user.id, request_info(request)) as work:
        work.audit(user.actor, now, "audit_checkpoint_ordered", ("audit", "*"))
    async with state.database.read(user.id) as connection, connection.transaction():
        made = await checkpoints.make(connection, state.settings, now)
    await send(made.note, state.settings)
    return checkpoints.shown(made, state.settings)
