"""The identity provider as one process knows it: its metadata, its keys, and the calls to it."""

import asyncio
import logging
import time
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

from santaserver.oidc import failures, tokens
from santaserver.oidc.failures import SignInRefused
from santaserver.oidc.fetch import OK, Answer, Fetcher, ProviderError, Unreachable
from santaserver.oidc.keys import Keys
from santaserver.oidc.metadata import Metadata, metadata_address, read_metadata
from santaserver.oidc.tokens import BadToken, Claims, Expected, WrongClock
from santaserver.settings import Settings

log = logging.getLogger(__name__)

REFRESH = timedelta(hours=1)
FORGET = timedelta(hours=24)
PAUSE = 3.0
"""Seconds after a failure in which the provider is not asked for its metadata again."""
USERINFO_DEADLINE = 5.0
BAD_GATEWAY = 500
CALLBACK = "/api/v1/auth/oidc/callback"
AFTER_LOGOUT = "/login"


@dataclass(frozen=True)
class Request:
    """One sign-in, as the provider is told of it."""

    state: str
    nonce: str
    challenge: str


@dataclass(frozen=True)
class Grant:
    """What a code was worth."""

    id_token: str
    access_token: str


class Provider:
    """One provider; it is asked when someone signs in, not at the start."""

    def __init__(self, settings: Settings, fetcher: Fetcher | None = None) -> None:
        """Prepare."""
        import jwt  # noqa: F401, PLC0415 - takes a while, so that it is loaded before the first sign-in

        identity = settings.identity
        self.issuer = identity.issuer
        self.tenant = identity.tenant_id
        self.name = identity.provider_name
        self.group_roles = identity.group_roles
        self.public_url = settings.server.public_url.rstrip("/")
        self.fetcher = fetcher or Fetcher()
        self._client = (identity.client_id, identity.client_secret)
        self._keys = Keys(self.fetcher, self.issuer)
        self._metadata: Metadata | None = None
        self._read_at: datetime | None = None
        self._failed: tuple[float, ProviderError] | None = None
        self._lock = asyncio.Lock()

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends browsers back to."""
        return self.public_url + CALLBACK

    async def metadata(self, now: datetime) -> Metadata:
        """Return what the provider says about itself, read each hour; raise `SignInRefused`."""
        try:
            async with self._lock:
                return await self._current(now)
        except Unreachable as error:
            raise SignInRefused(failures.UNREACHABLE, str(error)) from error
        except ProviderError as error:
            raise SignInRefused(failures.MISCONFIGURED, f"{self.issuer}: {error}") from error

    async def _current(self, now: datetime) -> Metadata:
        age = now - self._read_at if self._read_at else FORGET
        if self._metadata is not None and timedelta(0) <= age < REFRESH:
            return self._metadata
        try:
            self._metadata = await self._read()
            self._read_at = now
        except ProviderError as error:
            if self._metadata is None or not timedelta(0) <= age < FORGET:
                raise
            log.warning("the metadata of %s could not be refreshed, the old is used: %s", self.issuer, error)
        return self._metadata

    async def _read(self) -> Metadata:
        if self._failed is not None and time.monotonic() - self._failed[0] < PAUSE:
            raise self._failed[1]
        try:
            answer = await self.fetcher.send(metadata_address(self.issuer))
            if answer.status != OK:
                kind = Unreachable if answer.status >= BAD_GATEWAY else ProviderError
                raise kind(f"status {answer.status} for {metadata_address(self.issuer)}")
            found = read_metadata(answer.json(), self.issuer, entra=bool(self.tenant))
        except ProviderError as error:
            self._failed = (time.monotonic(), error)
            raise
        self._failed = None
        return found

    async def sign_in_address(self, request: Request, now: datetime) -> str:
        """Return where a browser goes to sign in."""
        metadata = await self.metadata(now)
        return _with_query(
            metadata.authorization,
            {
                "response_type": "code",
                "response_mode": "query",
                "client_id": self._client[0],
                "redirect_uri": self.redirect_uri,
                "scope": " ".join(metadata.scopes),
                "state": request.state,
                "nonce": request.nonce,
                "code_challenge": request.challenge,
                "code_challenge_method": "S256",
            },
        )

    async def logout_address(self, hint: str, now: datetime) -> str | None:
        """Return where a browser goes to end the session at the provider as well, if it has such a place."""
        try:
            metadata = await self.metadata(now)
        except SignInRefused as error:
            log.warning("the session at the identity provider stays: %s", error.cause)
            return None
        if not metadata.end_session:
            return None
        values = {
            "client_id": self._client[0],
            "post_logout_redirect_uri": self.public_url + AFTER_LOGOUT,
        }
        return _with_query(metadata.end_session, values | ({"logout_hint": hint} if hint else {}))

    async def redeem(self, code: str, verifier: str, now: datetime) -> Grant:
        """Exchange a code for tokens; raise `SignInRefused`."""
        metadata = await self.metadata(now)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        client, secret = self._client
        if metadata.basic:
            login = f"{quote_plus(client)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        else:
            form |= {"client_id": client, "client_secret": secret}
        try:
            answer = await self.fetcher.send(metadata.token, headers, urlencode(form).encode())
            document = answer.json()
        except Unreachable as error:
            raise SignInRefused(failures.UNREACHABLE, str(error)) from error
        except ProviderError as error:
            raise SignInRefused(failures.REFUSED, f"the token endpoint: {error}") from error
        if answer.status != OK:
            raise _refusal(answer, document)
        return Grant(_text(document.get("id_token")), _text(document.get("access_token")))

    async def id_claims(self, token: str, nonce: str, now: datetime) -> Claims:
        """Return the claims of an ID token for this sign-in; raise `SignInRefused`."""
        try:
            claims = await self._verified(token, tokens.ID_TYPES, now)
            tokens.check_id_token(claims, self._expected(now), nonce)
        except WrongClock as error:
            raise SignInRefused(failures.CLOCK, f"the ID token: {error}") from error
        except BadToken as error:
            raise SignInRefused(failures.TOKEN, f"the ID token: {error}") from error
        except Unreachable as error:
            raise SignInRefused(failures.UNREACHABLE, str(error)) from error
        except ProviderError as error:
            raise SignInRefused(failures.MISCONFIGURED, f"{self.issuer}: {error}") from error
        return claims

    async def logout_claims(self, token: str, now: datetime) -> tuple[Claims, datetime]:
        """Return the claims of a logout token, and until when it is valid.

        Raises `BadToken` and `ProviderError`.
        """
        claims = await self._verified(token, tokens.LOGOUT_TYPES, now)
        return claims, tokens.check_logout_token(claims, self._expected(now))

    async def userinfo(self, access_token: str, subject: str, now: datetime) -> Claims:
        """Return what the provider says of a person beside the ID token; empty when it says nothing."""
        metadata = await self.metadata(now)
        if not metadata.userinfo or not access_token:
            return {}
        try:
            headers = {"Authorization": f"Bearer {access_token}"}
            answer = await self.fetcher.send(metadata.userinfo, headers, deadline=USERINFO_DEADLINE)
            claims: Claims = answer.json() if answer.status == OK else {}
        except ProviderError as error:
            log.warning("the provider's information about a person could not be read: %s", error)
            return {}
        return claims if claims.get("sub") == subject else {}

    async def _verified(self, token: str, types: frozenset[str], now: datetime) -> Claims:
        header = tokens.header_of(token, types)
        try:
            metadata = await self.metadata(now)
        except SignInRefused as error:
            raise ProviderError(error.cause) from error
        key = await self._keys.find(metadata.keys, header, now)
        return tokens.verified(token, header, key)

    def _expected(self, now: datetime) -> Expected:
        return Expected(self.issuer, self._client[0], now)

    def close(self) -> None:
        """End the threads."""
        self.fetcher.close()


def _refusal(answer: Answer, document: dict[str, Any]) -> SignInRefused:
    error, description = _text(document.get("error")), _text(document.get("error_description"))
    if answer.status >= BAD_GATEWAY:
        return SignInRefused(failures.UNREACHABLE, f"the token endpoint has status {answer.status}")
    if error == "invalid_grant":
        return failures.of_provider(error, description, other=failures.LATE)
    if error == "invalid_client":
        refused = failures.of_provider(error, description)
        refused.cause += "; CLIENT_SECRET has expired or is wrong: make a new one at the provider"
        return refused
    return failures.of_provider(error or f"status {answer.status}", description)


def _with_query(address: str, values: dict[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(values)}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
