"""List, create and revoke enrollments; download a profile."""

from http import HTTPStatus

from fastapi import Request, Response

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, GuardedWorkDep, IfMatchDep, NowDep, StateDep, WorkDep
from santaserver.enrollment import profile_service, rotation, service
from santaserver.enrollment.essentials import ESSENTIALS
from santaserver.enrollment.schemas import (
    Enrollment,
    EnrollmentCreate,
    EnrollmentCreated,
    EnrollmentPatch,
    Essential,
    ProfileOptions,
    ProfileRequest,
    SecretPatch,
    SecretRotate,
    SerialChange,
    SerialList,
)
from santaserver.errors import (
    CHANGING,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
    Unprocessable,
    responses,
)
from santaserver.inputs import RowId
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page
from santaserver.reads import json_response, tagged
from santaserver.routing import AreaRouter
from santaserver.state import AppState

PROFILE_TYPE = "application/x-apple-aspen-config"

router = AreaRouter(prefix="/enrollments", tags=["enrollments"], responses=responses(Unauthorized, Forbidden))

MAY_READ = require("enrollment:read")
MAY_WRITE = require("enrollment:write")


@router.get("", dependencies=[MAY_READ], response_model=Page[Enrollment], responses=responses(BadRequest))
async def list_enrollments(
    connection: ConnectionDep,
    now: NowDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
) -> Response:
    """List enrollments, the newest first."""
    return json_response(await service.list_enrollments(connection, cursor, limit, now))


@router.post("", dependencies=[MAY_WRITE], status_code=HTTPStatus.CREATED, responses=responses(Unprocessable))
async def create_enrollment(
    wanted: EnrollmentCreate, work: GuardedWorkDep, user: CurrentUser, now: NowDep, response: Response
) -> EnrollmentCreated:
    """Create an enrollment. Only this response contains the secret."""
    created = await service.create_enrollment(work, wanted, user, now)
    tagged(response, created.enrollment)
    return created


@router.get("/essentials", dependencies=[MAY_READ])
async def list_essentials() -> list[Essential]:
    """List publishers that a profile can allow, so that wrong rules cannot lock Macs out."""
    return list(ESSENTIALS)


@router.get("/profile-options", dependencies=[MAY_READ])
async def get_profile_options(request: Request, state: StateDep) -> ProfileOptions:
    """Show where Macs would sync, and who signs profiles."""
    return profile_service.options(_server(request, state), state.settings.profiles.signer)


@router.get("/{enrollment_id}", dependencies=[MAY_READ], responses=responses(NotFound))
async def get_enrollment(
    enrollment_id: RowId, connection: ConnectionDep, now: NowDep, response: Response
) -> Enrollment:
    """Show one enrollment."""
    return tagged(response, await service.get_enrollment(connection, enrollment_id, now))


@router.patch(
    "/{enrollment_id}", dependencies=[MAY_WRITE], responses=CHANGING | responses(Conflict, Unprocessable)
)
async def change_enrollment(
    enrollment_id: RowId,
    patch: EnrollmentPatch,
    expected: IfMatchDep,
    work: WorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> Enrollment:
    """Change some of an enrollment's terms; what the request leaves out stays."""
    changed = await service.change_enrollment(work, enrollment_id, patch, expected, user, now)
    return tagged(response, changed)


@router.post("/{enrollment_id}/revoke", dependencies=[MAY_WRITE], responses=responses(NotFound))
async def revoke_enrollment(
    enrollment_id: RowId, work: WorkDep, user: CurrentUser, now: NowDep, response: Response
) -> Enrollment:
    """Refuse the secret from now on, also for Macs enrolled with it."""
    return tagged(response, await service.revoke_enrollment(work, enrollment_id, user, now))


@router.post(
    "/{enrollment_id}/secrets",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.CREATED,
    responses=CHANGING | responses(Conflict, Unprocessable),
)
async def rotate_secret(
    enrollment_id: RowId,
    wanted: SecretRotate,
    expected: IfMatchDep,
    work: WorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> EnrollmentCreated:
    """Give an enrollment another secret, which only this response contains. The present one stays valid until
    the given time; its Macs move to the new one with the next profile that they get.
    """
    created = await rotation.rotate(work, enrollment_id, wanted, expected, user, now)
    tagged(response, created.enrollment)
    return created


@router.patch(
    "/{enrollment_id}/secrets/{secret_id}",
    dependencies=[MAY_WRITE],
    responses=CHANGING | responses(Conflict, Unprocessable),
)
async def change_secret(
    enrollment_id: RowId,
    secret_id: RowId,
    patch: SecretPatch,
    expected: IfMatchDep,
    work: WorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> Enrollment:
    """Change from where a secret is accepted, and of a previous one until when."""
    changed = await rotation.change_secret(work, enrollment_id, secret_id, patch, expected, user, now)
    return tagged(response, changed)


@router.delete(
    "/{enrollment_id}/secrets/{secret_id}",
    dependencies=[MAY_WRITE],
    responses=CHANGING | responses(Conflict),
)
async def end_secret(
    enrollment_id: RowId,
    secret_id: RowId,
    expected: IfMatchDep,
    work: WorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> Enrollment:
    """End a previous secret now: Macs that still show it are refused within seconds."""
    return tagged(response, await rotation.end_secret(work, enrollment_id, secret_id, expected, user, now))


@router.get("/{enrollment_id}/serials", dependencies=[MAY_READ], responses=responses(NotFound))
async def list_serials(enrollment_id: RowId, connection: ConnectionDep, response: Response) -> SerialList:
    """List the serial numbers that may use an enrollment."""
    return tagged(response, await service.list_serials(connection, enrollment_id))


@router.patch(
    "/{enrollment_id}/serials", dependencies=[MAY_WRITE], responses=CHANGING | responses(Unprocessable)
)
async def change_serials(
    enrollment_id: RowId,
    change: SerialChange,
    expected: IfMatchDep,
    work: WorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> SerialList:
    """Add serial numbers to an enrollment's list and remove others; the first one added creates the list."""
    changed = await service.change_serials(work, enrollment_id, change, expected, user, now)
    return tagged(response, changed)


@router.delete(
    "/{enrollment_id}/serials",
    dependencies=[MAY_WRITE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=CHANGING,
)
async def drop_serials(
    enrollment_id: RowId,
    expected: IfMatchDep,
    work: WorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> None:
    """Delete an enrollment's list, so that Macs with any serial number may use it."""
    tagged(response, await service.drop_serials(work, enrollment_id, expected, user, now))


@router.post(
    "/{enrollment_id}/profile",
    dependencies=[MAY_WRITE],
    response_class=Response,
    responses={
        **responses(NotFound, Unprocessable),
        200: {"content": {PROFILE_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
    },
)
async def make_profile(
    enrollment_id: RowId,
    wanted: ProfileRequest,
    request: Request,
    work: WorkDep,
    state: StateDep,
    user: CurrentUser,
    now: NowDep,
) -> Response:
    """Make a configuration profile (mobileconfig) that connects a Mac with this enrollment."""
    server, signer = _server(request, state), state.settings.profiles.signer
    content = await profile_service.make_profile(work, enrollment_id, wanted, server, signer, user, now)
    name = f"santaserver-enrollment-{enrollment_id}.mobileconfig"
    return Response(
        content, media_type=PROFILE_TYPE, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _server(request: Request, state: AppState) -> str:
    """Return where Macs find this server."""
    return state.settings.server.public_url.rstrip("/") or _address(request)


def _address(request: Request) -> str:
    """Return the address by which the browser reached this server, as santa-proxy reports it."""
    scheme = request.headers.get("x-forwarded-proto") or request.url.scheme
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    return f"{scheme}://{host}"
