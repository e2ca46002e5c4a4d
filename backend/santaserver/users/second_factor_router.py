"""The second step of a login, and the second factors of the own account."""

from http import HTTPStatus

from fastapi import Request, Response

from santaserver.authorization import in_person, public
from santaserver.current_user import User
from santaserver.deps import ConnectionDep, CurrentUser, NowDep, StateDep, WorkDep, request_info
from santaserver.errors import (
    Conflict,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unprocessable,
    responses,
)
from santaserver.routing import AreaRouter
from santaserver.second_factor.pending import COOKIE
from santaserver.session_cookie import set_session_cookie
from santaserver.users import second_factor_service as service
from santaserver.users import second_step
from santaserver.users.device import set_device_cookie
from santaserver.users.second_factor_schemas import (
    Code,
    RecoveryCodes,
    SecondFactorState,
    TotpEnrollment,
)

router = AreaRouter(prefix="/auth/second-factor", tags=["auth"], responses=responses(Unauthorized))

OWN_CHANGE = in_person("their own", fresh=True)


@router.post(
    "",
    dependencies=[public("whoever has entered the password")],
    responses=responses(TooManyRequests, Unprocessable),
)
async def enter_code(code: Code, request: Request, response: Response, state: StateDep) -> User:
    """Go on with a login, which `POST /auth/login` has answered with 202; opens the session."""
    secret = COOKIE.read(request.cookies, state.settings)
    user_agent = request.headers.get("user-agent", "")
    info = request_info(request)
    user, token = await second_step.finish(state, secret, code.code, info, request.cookies, user_agent)
    COOKIE.clear(response, state.settings)
    set_session_cookie(response, token, state.settings)
    set_device_cookie(response, state.settings, user.username, state.clock())
    return user


@router.get("", dependencies=[in_person("their own")], responses=responses(Forbidden))
async def get_second_factor(connection: ConnectionDep, user: CurrentUser) -> SecondFactorState:
    """Show the own second factors."""
    return await service.state_of(connection, user)


@router.post(
    "/totp",
    dependencies=[OWN_CHANGE],
    status_code=HTTPStatus.CREATED,
    responses=responses(Forbidden, Conflict),
)
async def set_up_totp(work: WorkDep, user: CurrentUser, state: StateDep, now: NowDep) -> TotpEnrollment:
    """Begin to set up an authenticator app; it counts after `POST …/totp/confirm`."""
    return await service.enroll(work, state.settings, user, now)


@router.post(
    "/totp/confirm",
    dependencies=[OWN_CHANGE],
    responses=responses(Forbidden, Conflict, Unprocessable),
)
async def confirm_totp(
    code: Code, work: WorkDep, user: CurrentUser, state: StateDep, now: NowDep
) -> RecoveryCodes:
    """Let the new app count, with a code that it shows; a first factor comes with recovery codes."""
    return await service.confirm(work, state.settings, user, code.code, now)


@router.delete(
    "/totp",
    dependencies=[OWN_CHANGE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(Forbidden, NotFound),
)
async def remove_totp(work: WorkDep, user: CurrentUser, now: NowDep) -> None:
    """Remove the authenticator app."""
    await service.remove_totp(work, user, now)


@router.post(
    "/recovery-codes",
    dependencies=[OWN_CHANGE],
    status_code=HTTPStatus.CREATED,
    responses=responses(Forbidden, Conflict),
)
async def renew_recovery_codes(work: WorkDep, user: CurrentUser, now: NowDep) -> RecoveryCodes:
    """Make new recovery codes; the earlier ones end."""
    return await service.renew_codes(work, user, now)
