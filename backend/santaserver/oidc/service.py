"""Signing in: a browser is sent to the provider, comes back with a code, and gets a session."""

import hashlib
import logging
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from santaserver.audit import RequestInfo
from santaserver.errors import TooManyRequests
from santaserver.groups.repository import any_of_source
from santaserver.inputs import is_storable
from santaserver.oidc import attempt_repository as attempts
from santaserver.oidc import audit_entries, failures
from santaserver.oidc.accounts import admit
from santaserver.oidc.attempt_repository import Attempt
from santaserver.oidc.failures import SignInRefused
from santaserver.oidc.fetch import ProviderError
from santaserver.oidc.graph import groups_of
from santaserver.oidc.people import (
    Told,
    app_roles_of,
    group_ids,
    groups_of_token,
    is_described,
    person_of,
    roles_of,
    roles_of_groups,
)
from santaserver.oidc.provider import Grant, Provider, Request
from santaserver.oidc.tokens import Claims
from santaserver.state import AppState
from santaserver.users.throttle import network_of

log = logging.getLogger(__name__)

RANDOM_BYTES = 32
MAX_PATH = 1000
MAX_CODE = 8192
HOME = "/"


class Begun(NamedTuple):
    """Where a browser goes, and the secret that it keeps."""

    address: str
    browser: str


class Done(NamedTuple):
    """A new session, and the page to show."""

    token: str
    path: str


def return_path(wanted: str) -> str:
    """Return a path of the console; anything else becomes the first page. Pure."""
    odd = len(wanted) > MAX_PATH or not wanted.isprintable() or "\\" in wanted or not is_storable(wanted)
    if odd or not wanted.startswith("/") or wanted.startswith(("//", "/api/")):
        return HOME
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return HOME
    return HOME if parts.scheme or parts.netloc else wanted


def digest(text: str) -> bytes:
    """Return the form in which secrets are stored."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


async def begin(
    state: AppState, provider: Provider, browser: str | None, wanted: str, request: RequestInfo
) -> Begun:
    """Begin a sign-in; a browser with several of them keeps one secret for all."""
    now, network = state.clock(), network_of(request.address)
    browser = browser or secrets.token_urlsafe(RANDOM_BYTES)
    name, nonce, verifier = (secrets.token_urlsafe(RANDOM_BYTES) for _ in range(3))
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    try:
        address = await provider.sign_in_address(Request(name, nonce, challenge), now)
    except SignInRefused as error:
        await audit_entries.refused(state, error, request, network, now, begun=False)
        raise
    attempt = Attempt(nonce, verifier, return_path(wanted))
    async with state.database.read(network) as connection:
        if not await attempts.begin(connection, digest(name), digest(browser), attempt, network, now):
            raise TooManyRequests(
                "Too many sign-ins were begun and not finished; try again in some minutes",
                headers={"Retry-After": "60"},
            )
    return Begun(address, browser)


async def finish(
    state: AppState,
    provider: Provider,
    browser: str | None,
    values: Mapping[str, str],
    request: RequestInfo,
    user_agent: str,
) -> Done:
    """Finish a sign-in with what the provider has sent the browser back with; raise `SignInRefused`."""
    now, network = state.clock(), network_of(request.address)
    attempt, person = None, None
    try:
        attempt = await _taken(state, browser, values.get("state", ""), network, now)
        grant = await _granted(provider, attempt, values, now)
        claims = await provider.id_claims(grant.id_token, attempt.nonce, now)
        if not provider.tenant and not is_described(claims):
            claims = {**await provider.userinfo(grant.access_token, claims["sub"], now), **claims}
        person = person_of(claims, provider.issuer, provider.tenant)
        told = await _told(state, provider, claims, grant, network, now)
        token = await admit(state, provider.issuer, person, told, request, user_agent)
    except SignInRefused as error:
        begun = attempt is not None
        await audit_entries.refused(state, error, request, network, now, begun=begun, person=person)
        raise
    return Done(token, attempt.return_path)


async def _taken(state: AppState, browser: str | None, name: str, network: str, now: datetime) -> Attempt:
    if not browser or not name:
        raise SignInRefused(failures.STATE, "the browser has no cookie or no state of a sign-in")
    async with state.database.read(network) as connection:
        attempt = await attempts.take(connection, digest(name), digest(browser), now)
    if attempt is None:
        raise SignInRefused(failures.STATE, "the state is of another browser, was used, or is too old")
    return attempt


async def _granted(provider: Provider, attempt: Attempt, values: Mapping[str, str], now: datetime) -> Grant:
    """Return what the code is worth; raise `SignInRefused` for an error or another issuer's response."""
    metadata = await provider.metadata(now)
    issuer = values.get("iss")
    if (issuer is None and metadata.names_itself) or (issuer is not None and issuer != provider.issuer):
        raise SignInRefused(failures.TOKEN, f"the response is of another issuer: {str(issuer)[:200]!r}")
    if error := values.get("error"):
        raise failures.of_provider(error, values.get("error_description", ""))
    code = values.get("code", "")
    if not 0 < len(code) <= MAX_CODE:
        raise SignInRefused(failures.REFUSED, "the response has neither a code nor an error")
    return await provider.redeem(code, attempt.verifier, now)


async def _told(
    state: AppState, provider: Provider, claims: Claims, grant: Grant, network: str, now: datetime
) -> Told:
    """Return the roles and groups: app roles give roles, or without any the groups do."""
    named, app_roles = roles_of(claims), app_roles_of(claims)
    async with state.database.read(network) as connection:
        mapped = await any_of_source(connection, "claim")
    if not mapped and (named or not provider.group_roles):
        return Told(named, app_roles)
    try:
        groups = groups_of_token(claims)
        if groups is None:
            groups = await _asked(provider, grant, now)
    except ProviderError as error:
        log.warning("the groups of a person could not be read, they get no roles by groups: %s", error)
        return Told(named, app_roles, notice=failures.GROUPS)
    return Told(named or roles_of_groups(groups, provider.group_roles), app_roles, groups)


async def _asked(provider: Provider, grant: Grant, now: datetime) -> list[str]:
    """Return the groups that a token leaves out; raise `ProviderError`."""
    if not provider.tenant:
        raise ProviderError("the ID token leaves them out")
    metadata = await provider.metadata(now)
    return group_ids(await groups_of(provider.fetcher, metadata.graph, grant.access_token))
