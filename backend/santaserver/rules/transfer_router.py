"""Export rules to a file, import them from one."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from santaserver.deps import AdminUser, NowDep, SessionDep
from santaserver.errors import Conflict, Forbidden, NotFound, Unauthorized, Unprocessable, responses
from santaserver.layers.schemas import LayerName
from santaserver.rules import transfer_service as service
from santaserver.rules.transfer_schemas import FileFormat, ImportPlan, RuleImport

TYPES: dict[FileFormat, str] = {"json": "application/json", "csv": "text/csv"}

router = APIRouter(prefix="/rules", tags=["rules"], responses=responses(Unauthorized, Forbidden))


@router.get(
    "/export",
    response_class=Response,
    responses={
        **responses(NotFound),
        200: {"content": {kind: {"schema": {"type": "string"}} for kind in TYPES.values()}},
    },
)
async def export_rules(
    session: SessionDep,
    _: AdminUser,
    file_format: Annotated[FileFormat, Query(alias="format")] = "json",
    layer: Annotated[LayerName | None, Query(description="Only this layer's")] = None,
) -> Response:
    """Download rules as a file that `import` takes back; the same rules give the same bytes."""
    text = await service.export_rules(session, file_format, layer)
    return Response(
        text,
        media_type=TYPES[file_format],
        headers={"Content-Disposition": f'attachment; filename="santaserver-rules.{file_format}"'},
    )


@router.post("/import", responses=responses(Conflict, Unprocessable))
async def import_rules(file: RuleImport, session: SessionDep, user: AdminUser, now: NowDep) -> ImportPlan:
    """Import a file of rules in one step, or say what that would do (`dry_run`)."""
    return await service.import_rules(session, file, user, now)
