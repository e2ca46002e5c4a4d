"""Log in, log out, who am I."""

from http import HTTPStatus

from fastapi import Request, Response

from santaserver.audit import Actor
from santaserver.authorization import public, signed_in
from santaserver.current_user import User
from santaserver.deps import CurrentUser, NowDep, StateDep, request_info
from santaserver.errors import TooManyRequests, Unauthorized, responses
from santaserver.outbox import discard
from santaserver.routing import AreaRouter
from santaserver.session_cookie import clear_session_cookie, read_session_cookie, set_session_cookie
from santaserver.users import service
from santaserver.users.device import set_device_cookie
from santaserver.users.schemas import Login, LoginState
from santaserver.users.session_repository import delete_session
from santaserver.users.sessions import hash_token

router = AreaRouter(prefix="/auth", tags=["auth"])


@router.post("/login", dependencies=[public("log in")], responses=responses(Unauthorized, TooManyRequests))
async def login(login: Login, request: Request, response: Response, state: StateDep) -> User:
    """Check a password and open a session, whose id is set as a cookie."""
    user_agent = request.headers.get("user-agent", "")
    user, token = await service.login(state, login, request_info(request), request.cookies, user_agent)
    set_session_cookie(response, token, state.settings)
    set_device_cookie(response, state.settings, user.username, state.clock())
    return user


@router.post(
    "/logout",
    dependencies=[public("end the own session, if there is one")],
    status_code=HTTPStatus.NO_CONTENT,
)
async def logout(request: Request, response: Response, state: StateDep, now: NowDep) -> None:
    """End the session; without one there is nothing to do."""
    token = read_session_cookie(request.cookies, state.settings)
    if token:
        async with state.database.unit_of_work(discard, request=request_info(request)) as work:
            owner = await delete_session(work.connection, hash_token(token))
            if owner is not None:
                work.audit(Actor(owner.username, owner.id), now, "logout", ("user", str(owner.id)))
        state.sessions.ended()
    clear_session_cookie(response, state.settings)


@router.get("/me", dependencies=[signed_in("themselves")], responses=responses(Unauthorized))
async def me(user: CurrentUser) -> User:
    """Show the logged-in user."""
    return user


@router.get("/state", dependencies=[public("whether somebody is logged in")])
async def login_state(request: Request, state: StateDep, now: NowDep) -> LoginState:
    """Show the logged-in user, if any, and what a session needs; being logged out is not an error."""
    token = read_session_cookie(request.cookies, state.settings)
    return LoginState(
        user=await state.sessions.user_of(token, now),
        https_only=state.settings.secure_cookies,
        public_url=state.settings.server.public_url,
    )
