"""Where the identity provider sends browsers back to, and orders logouts.

Providers may send more parameters than are known here, so these endpoints do not refuse any.
"""

import hashlib
import logging
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from santaserver.authorization import public
from santaserver.deps import NowDep, StateDep, request_info
from santaserver.errors import BadRequest, NotFound, Unauthorized, responses
from santaserver.inputs import is_storable
from santaserver.oidc import service
from santaserver.oidc.attempt_repository import is_new_logout
from santaserver.oidc.audit_entries import provider_actor
from santaserver.oidc.browser_cookie import read_browser_cookie
from santaserver.oidc.failures import SignInRefused
from santaserver.oidc.fetch import ProviderError
from santaserver.oidc.pages import failed
from santaserver.oidc.people import MAX_ID
from santaserver.oidc.router import BROWSER, provider_of
from santaserver.oidc.tokens import BadToken
from santaserver.outbox import discard
from santaserver.routing import AreaRouter
from santaserver.session_cookie import set_session_cookie
from santaserver.users.session_audit import record_ended
from santaserver.users.session_repository import delete_of_provider

router = AreaRouter(prefix="/auth", tags=["auth"])

log = logging.getLogger(__name__)


@router.get(
    "/oidc/callback",
    dependencies=[public("finish to sign in")],
    status_code=HTTPStatus.SEE_OTHER,
    response_class=Response,
    responses={**responses(BadRequest, NotFound, Unauthorized), **BROWSER},
)
async def finish_sign_in(request: Request, state: StateDep) -> Response:
    """Take the browser back from the identity provider and open a session, whose id is set as a cookie."""
    provider = provider_of(state)
    browser = read_browser_cookie(request.cookies, state.settings)
    values = dict(request.query_params)
    user_agent = request.headers.get("user-agent", "")
    try:
        done = await service.finish(state, provider, browser, values, request_info(request), user_agent)
    except SignInRefused as error:
        return failed(request, provider, error)
    response = RedirectResponse(done.path, HTTPStatus.SEE_OTHER)
    set_session_cookie(response, done.token, state.settings)
    return response


@router.post(
    "/oidc/backchannel",
    dependencies=[public("the identity provider signs each order")],
    responses=responses(BadRequest, NotFound),
    response_class=Response,
)
async def backchannel_logout(request: Request, state: StateDep, now: NowDep) -> Response:
    """End the sessions that the form's `logout_token` names (OpenID Connect Back-Channel Logout)."""
    provider = provider_of(state)
    form = parse_qs((await request.body()).decode("ascii", "replace"))
    try:
        claims, until = await provider.logout_claims(form.get("logout_token", [""])[0], now)
    except (BadToken, ProviderError) as error:
        log.warning("a logout by the identity provider was refused: %s", error)
        raise BadRequest(f"The logout token is not valid: {error}") from error
    subject, session = claims.get("sub"), claims.get("sid")
    jti = hashlib.sha256(claims["jti"].encode("utf-8", "surrogateescape")).digest()
    async with state.database.unit_of_work(discard, "identity provider", request_info(request)) as work:
        if not await is_new_logout(work.connection, jti, until, now):
            raise BadRequest("The logout token was used before")
        if all(is_storable(value or "") for value in (subject, session)):
            ended = await delete_of_provider(work.connection, provider.issuer, subject, session)
            record_ended(work, ended, provider_actor(provider.issuer), now)
    state.sessions.ended()
    return Response(status_code=HTTPStatus.OK)


@router.get(
    "/oidc/frontchannel",
    dependencies=[public("knowing the session's id at the identity provider is enough to end it")],
    response_class=Response,
)
async def frontchannel_logout(request: Request, state: StateDep, now: NowDep) -> Response:
    """End the sessions that belong to `sid` at the provider `iss`; the response is always the same."""
    provider = state.provider
    sid, iss = request.query_params.get("sid", ""), request.query_params.get("iss", "")
    fits = 0 < len(sid) <= MAX_ID and is_storable(sid)
    if provider is not None and fits and iss in {"", provider.issuer}:
        async with state.database.unit_of_work(discard, "identity provider", request_info(request)) as work:
            ended = await delete_of_provider(work.connection, provider.issuer, None, sid)
            record_ended(work, ended, provider_actor(provider.issuer), now)
        if ended:
            state.sessions.ended()
    return Response(status_code=HTTPStatus.OK)
