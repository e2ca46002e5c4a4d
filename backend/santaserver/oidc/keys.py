"""The keys of the provider: by kid, refreshed each hour, forgotten after a day without a refresh."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from santaserver.oidc.fetch import OK, Fetcher, ProviderError
from santaserver.oidc.tokens import ALGORITHMS, BadToken, Header

if TYPE_CHECKING:
    from jwt import PyJWK

log = logging.getLogger(__name__)

REFRESH = timedelta(hours=1)
FORGET = timedelta(hours=24)
UNKNOWN_KEY = timedelta(minutes=5)
"""Between two fetches because of keys that are not known: strangers can send tokens that name any."""
MAX_KEYS = 100
MIN_RSA_BITS = 2048
KINDS = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC"}

KeySet = dict[str, list[Mapping[str, Any]]]


class Keys:
    """The provider's present keys."""

    def __init__(self, fetcher: Fetcher, issuer: str) -> None:
        """Know none."""
        self._fetcher = fetcher
        self._issuer = issuer
        self._known: KeySet = {}
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None
        """When keys were last fetched because one was not known."""
        self._lock = asyncio.Lock()

    async def find(self, address: str, header: Header, now: datetime) -> "PyJWK":
        """Return the key that a token names; raise `BadToken` when the provider has none like it."""
        async with self._lock:
            fetched = await self._refresh(address, now)
            key = self._chosen(header)
            if key is None and (fetched or _passed(self._asked_at, UNKNOWN_KEY, now)):
                self._asked_at = now
                if not fetched:
                    await self._fetch(address, now)
                    key = self._chosen(header)
        if key is None:
            raise BadToken(f"it names a key that the provider does not have: {header.kid[:80]!r}")
        return key

    async def _refresh(self, address: str, now: datetime) -> bool:
        """Fetch the keys when they are old; old ones stay for a day while that fails."""
        if not _passed(self._fetched_at, REFRESH, now):
            return False
        try:
            await self._fetch(address, now)
        except ProviderError as error:
            if _passed(self._fetched_at, FORGET, now):
                self._known = {}
                raise
            log.warning(
                "the keys of %s could not be refreshed, the old ones are used: %s", self._issuer, error
            )
            return False
        return True

    async def _fetch(self, address: str, now: datetime) -> None:
        answer = await self._fetcher.send(address)
        if answer.status != OK:
            raise ProviderError(f"status {answer.status} for its keys")
        self._known = key_set(answer.json(), self._issuer)
        self._fetched_at = now

    def _chosen(self, header: Header) -> "PyJWK | None":
        import jwt  # noqa: PLC0415 - loaded when someone signs in

        for key in self._known.get(header.kid, ()):
            if key.get("kty") != KINDS[header.algorithm] or key.get("alg") not in {None, header.algorithm}:
                continue
            try:
                made = jwt.PyJWK(dict(key), header.algorithm)
            except (jwt.PyJWTError, ValueError, TypeError) as error:
                log.warning("a key of %s cannot be used: %s", self._issuer, error.__class__.__name__)
                continue
            if getattr(made.key, "key_size", 0) >= MIN_RSA_BITS or key.get("crv") == "P-256":
                return made
        return None


def key_set(document: Mapping[str, Any], issuer: str) -> KeySet:
    """Return the keys that may sign tokens of an issuer, by their names."""
    found: KeySet = {}
    listed = document.get("keys")
    if not isinstance(listed, list):
        raise ProviderError("its keys are not a JSON Web Key Set")
    for key in listed[:MAX_KEYS]:
        if isinstance(key, dict) and isinstance(key.get("kid"), str) and _signs(key, issuer):
            found.setdefault(key["kid"], []).append(key)
    return found


def _signs(key: Mapping[str, Any], issuer: str) -> bool:
    """Tell whether a key is for signatures, of this issuer: Entra's keys may be of one tenant."""
    own = key.get("issuer")
    tenants = {issuer, None}
    if isinstance(own, str) and "{tenantid}" in own:
        own = None
    return key.get("use") in {None, "sig"} and key.get("alg") in {None, *ALGORITHMS} and own in tenants


def _passed(since: datetime | None, time: timedelta, now: datetime) -> bool:
    return since is None or now - since >= time or now < since
