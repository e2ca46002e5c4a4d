"""Sessions: opaque random ids, stored as hashes, cached until they are revoked."""

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from santaserver import sizes
from santaserver.cache import CacheMemory, LruCache
from santaserver.current_user import Access, User, user_with
from santaserver.db import Connection, Database
from santaserver.permissions import Permission
from santaserver.settings import SecuritySettings
from santaserver.users import session_repository as repository
from santaserver.users.bindings import bindings_of
from santaserver.users.session_repository import ListedSession, Login
from santaserver.users.session_watch import SessionWatch

TOKEN_BYTES = 32
TOUCH_INTERVAL = timedelta(minutes=1)
"""A session in use is prolonged at most this often."""
SESSION_SIZE = 3600
"""Bytes of a session and its user with all permissions, roughly."""
RENEWAL_GRACE = timedelta(seconds=30)
"""The id before a renewal is valid this long, for requests that are under way."""
BINDING_SIZE = 600
"""Bytes of one more role, roughly."""
STRANGERS = "session look-ups"


def hash_token(token: str) -> bytes:
    """Return the form a session id is stored in."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a session lasts: after the login at most, and without use."""

    absolute: timedelta
    idle: timedelta

    def end(self, created_at: datetime, last_seen_at: datetime, expires_at: datetime) -> datetime:
        """Return when a stored session ends, also when the settings were changed since."""
        return min(expires_at, created_at + self.absolute, last_seen_at + self.idle)

    def until(self, created_at: datetime, now: datetime) -> datetime:
        """Return when a session that is used now ends."""
        return min(now + self.idle, created_at + self.absolute)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long sessions last, by what their users may do."""

    usual: Lifetime
    managers: Lifetime
    """Of users who may change users: a session that was left open is worth more there."""

    @classmethod
    def of(cls, security: SecuritySettings) -> "Lifetimes":
        """Read them from the settings; those of managers are never longer."""
        hours, minutes = security.session_hours, security.session_idle_minutes
        admin_hours = min(hours, security.session_admin_hours)
        admin_minutes = min(minutes, security.session_admin_idle_minutes)
        return cls(
            Lifetime(timedelta(hours=hours), timedelta(minutes=minutes)),
            Lifetime(timedelta(hours=admin_hours), timedelta(minutes=admin_minutes)),
        )

    def of_user(self, user: User) -> Lifetime:
        """Return how long the sessions of a user last, with the present roles."""
        return self.usual if user.scope_of(Permission.USER_WRITE) is None else self.managers

    def end_of(self, row: ListedSession) -> datetime:
        """Return when a listed session ends, unless it is used."""
        lifetime = self.managers if row.manages else self.usual
        return lifetime.end(row.created_at, row.last_seen_at, row.expires_at)


@dataclass(frozen=True, slots=True)
class _Session:
    user: User
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    read_at: float
    generation: int


class Sessions:
    """The sessions as one worker knows them."""

    def __init__(self, database: Database, lifetimes: Lifetimes, memory: CacheMemory) -> None:
        """Know nobody."""
        self._database = database
        self.lifetimes = lifetimes
        self._known: LruCache[bytes, _Session] = LruCache(
            memory,
            "sessions",
            lambda _, session: (
                SESSION_SIZE + BINDING_SIZE * len(session.user.roles) + sizes.text(session.user.display_name)
            ),
        )
        self._looking: dict[tuple[bytes, int], asyncio.Task[_Session | None]] = {}
        self.watch = SessionWatch(database)

    async def begin(self, connection: Connection, login: Login) -> str:
        """Open a session and return its id."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        until = self.lifetimes.usual.until(login.now, login.now)
        await repository.add_session(connection, hash_token(token), login, until)
        return token

    @property
    def generation(self) -> int:
        """A number that changes when a session was ended, or a user or a role changed, in any worker."""
        return self.watch.generation

    def ended(self) -> None:
        """Invalidate cached sessions at once: one was ended here, before PostgreSQL's notification."""
        self.watch.generation += 1

    async def user_of(self, token: str | None, now: datetime, *, in_use: bool = True) -> User | None:
        """Return the user of this session id; prolongs the session when it is `in_use`."""
        if not token:
            return None
        hashed = hash_token(token)
        session = self._known.get(hashed)
        if session is None or session.expires_at <= now or not self._is_true(session):
            session = await self._look_up(hashed, now)
            if session is None or session.expires_at <= now:
                return None
        if in_use and now - session.last_seen_at >= TOUCH_INTERVAL:
            await self._touch(hashed, session, now)
        return session.user

    def _is_true(self, session: _Session) -> bool:
        return self.watch.still_true(session.read_at, session.generation, time.monotonic())

    async def renewed(self, token: str, user: int, now: datetime) -> str | None:
        """Return another id for a session that has to be renewed; None when another request did that."""
        return await self._renew(token, user, now, None)

    async def reauthenticated(self, token: str, user: int, now: datetime) -> str | None:
        """Return another id for a session whose user has proved again who it is; None when it has ended."""
        return await self._renew(token, user, now, now)

    async def _renew(
        self, token: str, user: int, now: datetime, authenticated_at: datetime | None
    ) -> str | None:
        renewed, until = secrets.token_urlsafe(TOKEN_BYTES), now + RENEWAL_GRACE
        hashed, following = hash_token(token), hash_token(renewed)
        async with self._database.read(user) as connection:
            done = await repository.renew_session(connection, hashed, following, until, authenticated_at)
        self.ended()
        return renewed if done else None

    async def _look_up(self, hashed: bytes, now: datetime) -> _Session | None:
        """Read a session once, however many requests come with it at the same time.

        A look-up that began before a session was ended says nothing about what is true after it.
        """
        key = (hashed, self.watch.generation)
        looking = self._looking.get(key)
        if looking is None:
            looking = asyncio.create_task(self._read(hashed, now), name="session look-up")
            self._looking[key] = looking
            looking.add_done_callback(lambda _: self._looking.pop(key, None))
        return await asyncio.shield(looking)

    async def _read(self, hashed: bytes, now: datetime) -> _Session | None:
        read_at, generation = time.monotonic(), self.watch.generation
        async with self._database.read(STRANGERS) as connection:
            row = await repository.find_session(connection, hashed, now)
        if row is None:
            return None
        bindings = bindings_of(row.bindings)
        current = row.id_hash == hashed
        access = Access(row.id, row.authenticated_at, renews=row.renew and current)
        user = user_with(row.user_id, row.username, row.display_name, bindings, row.notice, access=access)
        end = self.lifetimes.of_user(user).end(row.created_at, row.last_seen_at, row.expires_at)
        if not current:
            end = min(end, row.previous_until or end)
        session = _Session(user, row.created_at, row.last_seen_at, end, read_at, generation)
        self._known.put(hashed, session)
        return session

    async def _touch(self, hashed: bytes, session: _Session, now: datetime) -> None:
        lifetime = self.lifetimes.of_user(session.user)
        until = max(session.expires_at, lifetime.until(session.created_at, now))
        self._known.put(hashed, replace(session, last_seen_at=now, expires_at=until))
        async with self._database.read(session.user.id) as connection:
            await repository.touch_session(connection, hashed, now, until)
