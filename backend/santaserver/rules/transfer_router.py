"""Export rules to a file, import them from one."""

from typing import Annotated

from fastapi import Query, Request, Response

from santaserver.authorization import require
from santaserver.deps import ConfirmedWorkDep, CurrentUser, NowDep, StateDep, request_info
from santaserver.errors import Conflict, Forbidden, NotFound, Unauthorized, Unprocessable, responses
from santaserver.layers.schemas import LayerName
from santaserver.rest_body import file_of
from santaserver.routing import AreaRouter
from santaserver.rules import transfer_service as service
from santaserver.rules.export import TYPES, RuleFile, Wanted
from santaserver.rules.transfer_recognize import open_text
from santaserver.rules.transfer_schemas import FileFormat, ImportPlan, RuleImport
from santaserver.scope import Scope
from santaserver.streamed_file import StreamedFile

router = AreaRouter(prefix="/rules", tags=["rules"], responses=responses(Unauthorized, Forbidden))


@router.get(
    "/export",
    response_class=Response,
    responses={
        **responses(NotFound),
        200: {"content": {kind: {"schema": {"type": "string"}} for kind in TYPES.values()}},
    },
)
async def export_rules(
    scope: Annotated[Scope, require("rule:export")],
    request: Request,
    state: StateDep,
    user: CurrentUser,
    file_format: Annotated[FileFormat, Query(alias="format")] = "json",
    layer: Annotated[LayerName | None, Query(description="Only this layer's")] = None,
) -> Response:
    """Download rules as a file that `import` accepts; the same rules give the same bytes."""
    export = RuleFile(state, Wanted(file_format, layer, user, scope, request_info(request)))
    return StreamedFile(export, TYPES[file_format], f"santaserver-rules.{file_format}")


@router.post("/import", dependencies=[require("rule:import")], responses=responses(Conflict, Unprocessable))
async def import_rules(
    file: RuleImport,
    request: Request,
    work: ConfirmedWorkDep,
    state: StateDep,
    user: CurrentUser,
    now: NowDep,
) -> ImportPlan:
    """Import a file of rules in one step, or report what that would do (`dry_run`)."""
    text = file_of(request.scope)
    return await service.import_rules(
        work, file, lambda: open_text(file, text.pieces()), (user.actor, now), state.limits.file_worker
    )
