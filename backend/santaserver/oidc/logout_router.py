"""Logouts that the identity provider orders: from server to server, and in a frame of the browser."""

import hashlib
import logging
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Query, Request, Response

from santaserver.authorization import public
from santaserver.deps import NowDep, StateDep, request_info
from santaserver.errors import BadRequest, NotFound, responses
from santaserver.inputs import is_storable
from santaserver.oidc.attempt_repository import is_new_logout
from santaserver.oidc.audit_entries import provider_actor
from santaserver.oidc.fetch import ProviderError
from santaserver.oidc.people import MAX_ID
from santaserver.oidc.router import provider_of
from santaserver.oidc.tokens import BadToken
from santaserver.outbox import discard
from santaserver.routing import AreaRouter
from santaserver.users.session_audit import record_ended
from santaserver.users.session_repository import delete_of_provider

router = AreaRouter(prefix="/auth", tags=["auth"])

log = logging.getLogger(__name__)

FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["logout_token"],
                    "properties": {"logout_token": {"type": "string"}},
                }
            }
        },
    }
}


@router.post(
    "/oidc/backchannel",
    dependencies=[public("the identity provider signs each order")],
    responses=responses(BadRequest, NotFound),
    response_class=Response,
    openapi_extra=FORM,
)
async def backchannel_logout(request: Request, state: StateDep, now: NowDep) -> Response:
    """End the sessions that a logout token names (OpenID Connect Back-Channel Logout)."""
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
async def frontchannel_logout(
    request: Request,
    state: StateDep,
    now: NowDep,
    sid: Annotated[str, Query(description="The session at the identity provider")] = "",
    iss: Annotated[str, Query(description="The identity provider; not all of them say it")] = "",
) -> Response:
    """End the sessions that belong to one at the identity provider; the response is always the same."""
    provider = state.provider
    fits = 0 < len(sid) <= MAX_ID and is_storable(sid)
    if provider is not None and fits and iss in {"", provider.issuer}:
        async with state.database.unit_of_work(discard, "identity provider", request_info(request)) as work:
            ended = await delete_of_provider(work.connection, provider.issuer, None, sid)
            record_ended(work, ended, provider_actor(provider.issuer), now)
        if ended:
            state.sessions.ended()
    return Response(status_code=HTTPStatus.OK)
