"""Log in, log out, who am I."""

from http import HTTPStatus

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from santaserver.audit import Actor
from santaserver.authorization import in_person, public, signed_in
from santaserver.current_user import User
from santaserver.deps import ConnectionDep, CurrentUser, NowDep, StateDep, request_info
from santaserver.errors import Conflict, Forbidden, TooManyRequests, Unauthorized, Unprocessable, responses
from santaserver.outbox import discard
from santaserver.routing import AreaRouter
from santaserver.session_cookie import clear_session_cookie, read_session_cookie, set_session_cookie
from santaserver.users import own_password, reauthentication, service
from santaserver.users.account_service import find
from santaserver.users.device import set_device_cookie
from santaserver.users.explanation import PermissionExplanation, explain
from santaserver.users.schemas import (
    EndedSessions,
    LoggedOut,
    Login,
    LoginState,
    PasswordChange,
    Reauthentication,
)
from santaserver.users.second_factor_answers import second_factor_needed
from santaserver.users.second_factor_schemas import SecondFactorNeeded
from santaserver.users.second_step import SecondStep
from santaserver.users.session_repository import delete_session, logout_hint
from santaserver.users.sessions import hash_token

router = AreaRouter(prefix="/auth", tags=["auth"])


@router.post(
    "/login",
    dependencies=[public("log in")],
    response_model=User,
    responses={
        **responses(Unauthorized, TooManyRequests),
        HTTPStatus.ACCEPTED: {
            "model": SecondFactorNeeded,
            "description": "The password is right; there is no session before the second factor",
        },
    },
)
async def login(login: Login, request: Request, response: Response, state: StateDep) -> User | Response:
    """Check a password and open a session, whose id is set as a cookie."""
    user_agent = request.headers.get("user-agent", "")
    done = await service.login(state, login, request_info(request), request.cookies, user_agent)
    if isinstance(done, SecondStep):
        return second_factor_needed(done, state.settings)
    user, token = done
    set_session_cookie(response, token, state.settings)
    set_device_cookie(response, state.settings, user.username, state.clock())
    return user


@router.post(
    "/logout",
    dependencies=[public("end the own session, if there is one")],
    status_code=HTTPStatus.NO_CONTENT,
    responses={HTTPStatus.OK: {"model": LoggedOut, "description": "It goes on at the identity provider"}},
)
async def logout(request: Request, state: StateDep, now: NowDep) -> Response:
    """End the session; without one there is nothing to do.

    After a sign-in through an identity provider, the response says where to end the session there.
    """
    token = read_session_cookie(request.cookies, state.settings)
    following = None
    if token:
        async with state.database.unit_of_work(discard, request=request_info(request)) as work:
            hint = await logout_hint(work.connection, hash_token(token))
            owner = await delete_session(work.connection, hash_token(token))
            if owner is not None:
                work.audit(Actor(owner.username, owner.id), now, "logout", ("user", str(owner.id)))
        state.sessions.ended()
        if hint is not None and state.provider is not None:
            following = await state.provider.logout_address(hint, now)
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    if following:
        response = JSONResponse(LoggedOut(continue_at=following).model_dump())
    clear_session_cookie(response, state.settings)
    return response


@router.post(
    "/password",
    dependencies=[in_person("their own")],
    responses=responses(Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests),
)
async def change_password(
    wanted: PasswordChange, request: Request, user: CurrentUser, state: StateDep, now: NowDep
) -> EndedSessions:
    """Change the own password, with the present one; all other sessions of the user end."""
    info = request_info(request)
    ended = await own_password.change_password(state, user, wanted, info, request.cookies, now)
    return EndedSessions(ended=ended)


@router.post(
    "/reauthenticate",
    dependencies=[in_person("themselves")],
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(Unauthorized, Forbidden, Unprocessable, TooManyRequests),
)
async def reauthenticate(
    proof: Reauthentication,
    request: Request,
    response: Response,
    user: CurrentUser,
    state: StateDep,
    now: NowDep,
) -> None:
    """Prove again who you are, as changes of users, roles and tokens demand; the session gets another id."""
    token = read_session_cookie(request.cookies, state.settings) or ""
    info = request_info(request)
    renewed = await reauthentication.prove(state, user, token, proof, info, request.cookies, now)
    set_session_cookie(response, renewed, state.settings)


@router.get("/me", dependencies=[signed_in("themselves")], responses=responses(Unauthorized))
async def me(user: CurrentUser) -> User:
    """Show the logged-in user."""
    return user


@router.get("/permissions", dependencies=[in_person("themselves")], responses=responses(Unauthorized))
async def own_permissions(connection: ConnectionDep, user: CurrentUser) -> PermissionExplanation:
    """Tell what you may do, where, and through which role, group or tag."""
    return explain(await find(connection, user.id))


@router.get("/state", dependencies=[public("whether someone is logged in")])
async def login_state(request: Request, state: StateDep, now: NowDep) -> LoginState:
    """Show the logged-in user, if any, and what a session needs; being logged out is not an error."""
    token = read_session_cookie(request.cookies, state.settings)
    return LoginState(
        user=await state.sessions.user_of(token, now),
        https_only=state.settings.secure_cookies,
        public_url=state.settings.server.public_url,
    )
