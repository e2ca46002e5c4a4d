"""Who may use SCIM: who has a SCIM token, and nobody else. Each request reads it, so that a revoked one ends.

Refused tokens are counted by network, as API tokens are.
"""

from datetime import datetime

from msgspec import Struct

from santaserver.audit import Actor, RequestInfo
from santaserver.db import Database
from santaserver.errors import Problem, Unauthorized
from santaserver.scim import token_repository as repository
from santaserver.scim.token_repository import FoundToken
from santaserver.tokens.access import MAX_ADDRESS, TOUCH_INTERVAL
from santaserver.tokens.limits import is_allowed, parse_network
from santaserver.tokens.refused import RefusedTokens
from santaserver.tokens.secret import SCIM, has_form, hash_token
from santaserver.users.counted import too_many
from santaserver.users.throttle import network_of

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="SCIM", error="invalid_token"'}
REFUSED = "The SCIM token is not valid: it is unknown, expired or revoked"
MISSING = (
    "Send a SCIM token: Authorization: Bearer …. An administrator creates it in the console, under People"
)
FOREIGN = (
    "This token is not for this server. In Entra, enter a SCIM token as the Secret Token: left blank, Entra "
    "sends one of its own, whose audience is the same for all its customers"
)
NOT_SCIM = "This is an API token; SCIM needs a SCIM token"
WRONG_PLACE = "The SCIM token is not valid for requests from this address"
JWT_DOTS = 2


class Client(Struct, frozen=True):
    """Whoever has shown a valid token."""

    token: int
    actor: Actor


class ScimAccess:
    """The check of tokens in one worker."""

    def __init__(self, database: Database) -> None:
        """Know of no refusals."""
        self._database = database
        self._refused = RefusedTokens(database, "scim_token")

    async def client_of(self, bearer: str | None, request: RequestInfo, now: datetime) -> Client:
        """Return who sends a request; raise a problem for a missing or wrong token."""
        if bearer is None:
            raise Unauthorized(MISSING, headers={"WWW-Authenticate": 'Bearer realm="SCIM"'})
        if not has_form(bearer, SCIM):
            raise await self._refusal(None, _misplaced(bearer), request, now)
        async with self._database.read(f"scim from {network_of(request.address)}") as connection:
            found = await repository.find_token(connection, hash_token(bearer))
            reason = _fault(found, request, now)
            if found is not None and not reason and _is_due(found, now):
                address = request.address[:MAX_ADDRESS]
                await repository.touch_token(connection, found.id, now, address, previous=found.is_previous)
        if found is None or reason:
            raise await self._refusal(found.id if found else None, reason, request, now)
        return Client(found.id, Actor(f"SCIM ({found.name})", None, "scim", found.id))

    async def _refusal(self, token: int | None, reason: str, request: RequestInfo, now: datetime) -> Problem:
        wait = await self._refused.count(token, request, now)
        return too_many(wait, "refused tokens") if wait else Unauthorized(reason, headers=CHALLENGE)


def _fault(found: FoundToken | None, request: RequestInfo, now: datetime) -> str:
    """Return what is wrong with a token; empty for a valid one."""
    if found is None or found.revoked_at is not None or found.expires_at <= now:
        return REFUSED
    if found.is_previous and (found.previous_until is None or found.previous_until <= now):
        return REFUSED
    networks = tuple(parse_network(one) for one in found.networks)
    return "" if is_allowed(networks, request.address) else WRONG_PLACE


def _is_due(found: FoundToken, now: datetime) -> bool:
    return found.last_used_at is None or now - found.last_used_at >= TOUCH_INTERVAL


def _misplaced(bearer: str) -> str:
    if bearer.count(".") == JWT_DOTS:
        return FOREIGN
    return NOT_SCIM if bearer.startswith(("santa_u_", "santa_s_")) else REFUSED
