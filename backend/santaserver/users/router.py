"""Log in, log out, who am I."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from santaserver.deps import CurrentUser, StateDep
from santaserver.errors import TooManyRequests, Unauthorized, responses
from santaserver.users import service
from santaserver.users.address import client_address
from santaserver.users.cookies import clear_session_cookie, read_session_cookie, set_session_cookie
from santaserver.users.schemas import Login, User

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/login", responses=responses(Unauthorized, TooManyRequests))
async def login(login: Login, request: Request, response: Response, state: StateDep) -> User:
    """Check a password and open a session, whose id is set as a cookie."""
    address = client_address(request)
    user, token = await service.login(state, login, address)
    set_session_cookie(response, token, state.settings)
    return user


@router.post("/logout", status_code=HTTPStatus.NO_CONTENT)
async def logout(request: Request, response: Response, state: StateDep) -> None:
    """End the session; without one there is nothing to do."""
    token = read_session_cookie(request.cookies, state.settings)
    if token:
        async with state.database.read() as connection:
            await service.end_session(connection, token)
    clear_session_cookie(response, state.settings)


@router.get("/me", responses=responses(Unauthorized))
async def me(user: CurrentUser) -> User:
    """Say who is logged in."""
    return user
