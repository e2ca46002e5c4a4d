"""The dependencies of endpoints: the unit of work, a connection, the user, the clock.

All of them are coroutines: FastAPI runs plain functions in a thread, which costs more than they do. And they
take the request, not each other: FastAPI goes through all that a dependency needs each time it is named.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Header, Query, Request

from santaserver.audit import RequestInfo
from santaserver.bearer import bearer_of
from santaserver.client_address import client_address
from santaserver.confirmation import MAX_TOKEN, Confirmation
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import Unauthorized
from santaserver.preconditions import IfMatch, if_match
from santaserver.session_cookie import read_session_cookie, session_cookie
from santaserver.state import AppState
from santaserver.unit_of_work import UnitOfWork

MAX_REQUEST_ID = 128
SET_COOKIE = "santaserver.set-cookie"
"""Key of the request's scope: a cookie of the response, also of a failed one."""
WARNINGS = "santaserver.warnings"
"""Key of the request's scope: what to warn about in the headers of the response."""
REQUEST_ID = "x-request-id"
"""The proxy's own, or that of a trusted one before it."""


def state_of(request: Request) -> AppState:
    """Return what `create_app` put together."""
    state: AppState = request.app.state.santa
    return state


async def get_state(request: Request) -> AppState:
    """Return what `create_app` put together."""
    return state_of(request)


StateDep = Annotated[AppState, Depends(get_state)]


async def get_now(request: Request) -> datetime:
    """Return the moment this request is handled at."""
    return state_of(request).clock()


NowDep = Annotated[datetime, Depends(get_now)]


async def user_of(request: Request) -> User | None:
    """Return the user of the session, or of the API token; raise a problem for a wrong token.

    A request with a token is made by it alone: its cookies are not looked at.
    """
    state = state_of(request)
    bearer = bearer_of(request.headers)
    if bearer is not None:
        return await state.tokens.user_of(bearer, request_info(request), state.clock())
    return await state.sessions.user_of(read_session_cookie(request.cookies, state.settings), state.clock())


async def get_current_user(request: Request) -> User:
    """Return who sends the request; raise `Unauthorized` when that is nobody."""
    user = await user_of(request)
    if user is None:
        raise Unauthorized("Log in first")
    if user.renews:
        await _renew(request, user)
    return user


async def _renew(request: Request, user: User) -> None:
    """Give the session another id, which the response sets as a cookie."""
    state = state_of(request)
    token = read_session_cookie(request.cookies, state.settings)
    if token is not None:
        renewed = await state.sessions.renewed(token, user.id, state.clock())
        if renewed is not None:
            request.scope[SET_COOKIE] = session_cookie(renewed, state.settings)


CurrentUser = Annotated[User, Depends(get_current_user)]


def request_info(request: Request) -> RequestInfo:
    """Return what the audit log says about a request."""
    return RequestInfo(request.headers.get(REQUEST_ID, "")[:MAX_REQUEST_ID], client_address(request))


async def get_work(request: Request, user: CurrentUser) -> AsyncIterator[UnitOfWork]:
    """Yield what this request changes; it commits before the response is sent.

    Endpoints ask for their permission before it, so that a refused request takes no connection
    (`authorization.check_declarations`).
    """
    state = state_of(request)
    async with state.database.unit_of_work(state.bus.publish, user.id, request_info(request)) as work:
        work.guard.widely_used = state.settings.policy.widely_used_macs
        request.scope[WARNINGS] = work.guard.warnings
        yield work
    if work.accounts_changed:
        state.sessions.ended()  # this worker does not wait for PostgreSQL's notification


WorkDep = Annotated[UnitOfWork, Depends(get_work, scope="function")]


async def get_confirmed_work(
    request: Request,
    work: WorkDep,
    confirm: Annotated[
        str | None,
        Query(
            max_length=MAX_TOKEN,
            description="The `token` of the question that this request was answered with (409)",
        ),
    ] = None,
) -> UnitOfWork:
    """Return what this request changes, with what it confirms."""
    work.confirmation = Confirmation(confirm, state_of(request).settings.policy.confirm_limit)
    return work


ConfirmedWorkDep = Annotated[UnitOfWork, Depends(get_confirmed_work, scope="function")]
"""For changes that ask before they concern many Macs or loosen the policy."""


async def get_guarded_work(
    work: ConfirmedWorkDep,
    override_guard: Annotated[
        bool, Query(description="Save the change even if it blocks what Macs need to stay manageable")
    ] = False,
) -> UnitOfWork:
    """Return what this request changes, with what it says to the lock-out guard."""
    work.guard.override = override_guard
    return work


GuardedWorkDep = Annotated[UnitOfWork, Depends(get_guarded_work, scope="function")]
"""For changes that the lock-out guard checks; requests with a body about rules have the same field in it."""


async def get_connection(request: Request, user: CurrentUser) -> AsyncIterator[Connection]:
    """Yield a bare connection for the reads of this request."""
    async with state_of(request).database.read(user.id) as connection:
        yield connection


ConnectionDep = Annotated[Connection, Depends(get_connection, scope="function")]


async def get_if_match(
    request: Request,
    _: Annotated[
        str | None,
        Header(
            alias="If-Match", description="The `etag` of the version that is changed; `*`: whatever is there"
        ),
    ] = None,
) -> IfMatch:
    """Return which version the request may change; raise a problem when it does not say."""
    return if_match(request.headers.getlist("if-match"))


IfMatchDep = Annotated[IfMatch, Depends(get_if_match)]
