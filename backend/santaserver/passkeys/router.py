"""Passkeys: signing in with one, proving who has the session, and the own ones."""

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
from santaserver.inputs import RowId
from santaserver.passkeys import service
from santaserver.passkeys.repository import COOKIE
from santaserver.passkeys.schemas import (
    AddedPasskey,
    NewPasskey,
    PasskeyList,
    PasskeyOptions,
    UsedPasskey,
)
from santaserver.passkeys.service import Asker, Begun
from santaserver.routing import AreaRouter
from santaserver.second_factor.pending import COOKIE as PENDING
from santaserver.session_cookie import read_session_cookie, set_session_cookie
from santaserver.settings import Settings
from santaserver.users.device import set_device_cookie

router = AreaRouter(prefix="/auth/passkeys", tags=["auth"], responses=responses(Unauthorized))

SIGN_IN = public("sign in with a passkey")
OWN = in_person("their own")
OWN_CHANGE = in_person("their own", fresh=True)
PROOF = in_person("themselves")


def _asker(request: Request, settings: Settings) -> Asker:
    return Asker(request_info(request), COOKIE.read(request.cookies, settings))


def _answer(begun: Begun, response: Response, settings: Settings) -> PasskeyOptions:
    COOKIE.set(response, begun.browser, settings)
    return PasskeyOptions(public_key=begun.options)


@router.post("/sign-in/options", dependencies=[SIGN_IN], responses=responses(Conflict, TooManyRequests))
async def begin_passkey_sign_in(
    request: Request, response: Response, state: StateDep, now: NowDep
) -> PasskeyOptions:
    """Begin to sign in with a passkey: what to give to `navigator.credentials.get`."""
    begun = await service.begin_sign_in(state, _asker(request, state.settings), now)
    return _answer(begun, response, state.settings)


@router.post(
    "/sign-in", dependencies=[SIGN_IN], responses=responses(Conflict, TooManyRequests, Unprocessable)
)
async def sign_in_with_passkey(
    used: UsedPasskey, request: Request, response: Response, state: StateDep, now: NowDep
) -> User:
    """Open a session with a passkey, which is both factors: it checks who uses it."""
    asker, user_agent = _asker(request, state.settings), request.headers.get("user-agent", "")
    waiting = PENDING.read(request.cookies, state.settings)
    user, token = await service.sign_in(state, used, asker, waiting, user_agent)
    PENDING.clear(response, state.settings)
    set_session_cookie(response, token, state.settings)
    set_device_cookie(response, state.settings, user.username, now)
    return user


@router.post(
    "/reauthenticate/options",
    dependencies=[PROOF],
    responses=responses(Conflict, Forbidden, TooManyRequests),
)
async def begin_passkey_reauthentication(
    request: Request, response: Response, user: CurrentUser, state: StateDep, now: NowDep
) -> PasskeyOptions:
    """Begin to prove with a passkey who you are."""
    begun = await service.begin_reauthentication(state, user, _asker(request, state.settings), now)
    return _answer(begun, response, state.settings)


@router.post(
    "/reauthenticate",
    dependencies=[PROOF],
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(Conflict, Forbidden, TooManyRequests, Unprocessable),
)
async def reauthenticate_with_passkey(
    used: UsedPasskey,
    request: Request,
    response: Response,
    user: CurrentUser,
    state: StateDep,
    now: NowDep,
) -> None:
    """Prove with a passkey who you are, as with `POST /auth/reauthenticate`; the session gets another id."""
    token = read_session_cookie(request.cookies, state.settings) or ""
    asker = _asker(request, state.settings)
    renewed = await service.reauthenticate(state, user, token, used, asker, now)
    set_session_cookie(response, renewed, state.settings)


@router.get("", dependencies=[OWN], responses=responses(Forbidden))
async def list_passkeys(connection: ConnectionDep, user: CurrentUser, state: StateDep) -> PasskeyList:
    """List the own passkeys."""
    return await service.list_own(connection, state, user)


@router.post("/options", dependencies=[OWN_CHANGE], responses=responses(Conflict, Forbidden, TooManyRequests))
async def begin_new_passkey(
    request: Request, response: Response, user: CurrentUser, state: StateDep, now: NowDep
) -> PasskeyOptions:
    """Begin to make a passkey: what to give to `navigator.credentials.create`."""
    begun = await service.begin_registration(state, user, _asker(request, state.settings), now)
    return _answer(begun, response, state.settings)


@router.post(
    "",
    dependencies=[OWN_CHANGE],
    status_code=HTTPStatus.CREATED,
    responses=responses(Conflict, Forbidden, Unprocessable),
)
async def add_passkey(
    wanted: NewPasskey,
    request: Request,
    work: WorkDep,
    user: CurrentUser,
    state: StateDep,
    now: NowDep,
) -> AddedPasskey:
    """Add the passkey that the browser has made; the first second factor comes with recovery codes."""
    return await service.register(state, work, user, wanted, _asker(request, state.settings), now)


@router.delete(
    "/{passkey_id}",
    dependencies=[OWN_CHANGE],
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(Forbidden, NotFound),
)
async def remove_passkey(passkey_id: RowId, work: WorkDep, user: CurrentUser, now: NowDep) -> None:
    """Remove a passkey."""
    await service.remove(work, user, passkey_id, now)
