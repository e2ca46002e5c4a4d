"""Who a token stands for: read from the database, cached like sessions, checked at each request.

Refused tokens are counted by network, like failed logins. A token is always looked up, though: guessing one
is hopeless, and a program with an old token must not lock out the others behind the same address. What is
limited is what a wrong one costs: after many of them the response is 429, and nothing more is stored.
"""

import asyncio
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from santaserver.audit import RequestInfo
from santaserver.cache import CacheMemory, LruCache
from santaserver.current_user import Access, User, user_with
from santaserver.db import Database
from santaserver.errors import Problem, Unauthorized
from santaserver.tokens import repository
from santaserver.tokens.limits import Network, is_allowed, narrowed, parse_network, token_permissions
from santaserver.tokens.refused import RefusedTokens
from santaserver.tokens.repository import FoundToken
from santaserver.tokens.secret import hash_token, is_well_formed
from santaserver.users.bindings import bindings_of
from santaserver.users.counted import too_many
from santaserver.users.session_watch import SessionWatch
from santaserver.users.throttle import network_of

TOUCH_INTERVAL = timedelta(minutes=1)
"""The last use of a token is stored at most this often."""
MAX_ADDRESS = 300
TOKEN_SIZE = 4400
"""Bytes of a cached token and its user, roughly."""
REFUSED = "The API token is not valid: it is unknown, expired, revoked, or its owner is disabled"
WRONG_PLACE = "The API token is not valid for requests from this address"
CHALLENGE: Mapping[str, str] = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


@dataclass(slots=True)
class _Token:
    """A token as it was read. `last_used_at` changes with its use."""

    user: User
    id: int
    name: str
    networks: tuple[Network, ...]
    ends_at: datetime
    previous: bool
    last_used_at: datetime | None
    usable: bool
    read_at: float
    generation: int


class Tokens:
    """The tokens as one worker knows them."""

    def __init__(self, database: Database, watch: SessionWatch, memory: CacheMemory) -> None:
        """Know none; `watch` tells of changes, as for sessions."""
        self._database = database
        self._watch = watch
        self._known: LruCache[bytes, _Token] = LruCache(memory, "api tokens", lambda *_: TOKEN_SIZE)
        self._looking: dict[tuple[bytes, int], asyncio.Task[_Token | None]] = {}
        self._refused = RefusedTokens(database)

    async def user_of(self, token: str, request: RequestInfo, now: datetime) -> User:
        """Return whom a token stands for, with what it may do; raise a problem for a wrong one."""
        found = await self._find(token, network_of(request.address)) if is_well_formed(token) else None
        if found is None or not found.usable or found.ends_at <= now:
            raise await self._refusal(found, REFUSED, request, now)
        if not is_allowed(found.networks, request.address):
            raise await self._refusal(found, WRONG_PLACE, request, now)
        if found.last_used_at is None or now - found.last_used_at >= TOUCH_INTERVAL:
            await self._touch(found, request, now)
        return found.user

    async def _refusal(
        self, found: "_Token | None", reason: str, request: RequestInfo, now: datetime
    ) -> Problem:
        """Return the problem of a refused token: 401, or 429 after many."""
        wait = await self._refused.count(None if found is None else found.id, request, now)
        return too_many(wait, "refused API tokens") if wait else Unauthorized(reason, headers=CHALLENGE)

    async def _find(self, token: str, network: str) -> _Token | None:
        hashed = hash_token(token)
        known = self._known.get(hashed)
        if known is not None and self._watch.still_true(known.read_at, known.generation, time.monotonic()):
            return known
        key = (hashed, self._watch.generation)
        looking = self._looking.get(key)
        if looking is None:
            looking = asyncio.create_task(self._read(hashed, network), name="token look-up")
            self._looking[key] = looking
            looking.add_done_callback(lambda _: self._looking.pop(key, None))
        return await asyncio.shield(looking)

    async def _read(self, hashed: bytes, network: str) -> _Token | None:
        read_at, generation = time.monotonic(), self._watch.generation
        async with self._database.read(f"tokens from {network}") as connection:
            row = await repository.find_token(connection, hashed)
        if row is None:
            return None
        previous = not hmac.compare_digest(row.secret_hash, hashed)
        if previous and not hmac.compare_digest(row.previous_hash or b"", hashed):
            return None
        made = _token(row, previous, read_at, generation)
        self._known.put(hashed, made)
        return made

    async def _touch(self, token: _Token, request: RequestInfo, now: datetime) -> None:
        token.last_used_at = now
        async with self._database.read(token.user.id) as connection:
            address = request.address[:MAX_ADDRESS]
            await repository.touch_token(connection, token.id, now, address, previous=token.previous)


def _token(row: FoundToken, previous: bool, read_at: float, generation: int) -> _Token:
    permissions = token_permissions(row.permissions)
    user = user_with(
        row.user_id,
        row.username,
        row.display_name,
        bindings_of(row.bindings),
        access=Access(token=row.id, token_name=row.name),
        names=dict(zip(row.tag_ids or (), row.tag_names, strict=True)),
        limit=lambda permission, scope: (
            narrowed(permission, scope, row.tag_ids) if permission in permissions else None
        ),
    )
    ends_at = min(row.expires_at, row.previous_until or row.expires_at) if previous else row.expires_at
    return _Token(
        user=user,
        id=row.id,
        name=row.name,
        networks=tuple(parse_network(one) for one in row.networks),
        ends_at=ends_at,
        previous=previous,
        last_used_at=row.previous_used_at if previous else row.last_used_at,
        usable=row.revoked_at is None and row.enabled,
        read_at=read_at,
        generation=generation,
    )
