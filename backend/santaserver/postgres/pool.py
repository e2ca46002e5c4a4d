"""A pool of asyncpg connections with a fair order and health checks between requests.

What asyncpg's own pool costs for each request is half a query, and its proxies outlive the connections under
them. Here an ended connection is detected before use, one that was idle is checked first, and either is
replaced within the same request.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import asyncpg

from santaserver.limiter import ConcurrencyLimiter
from santaserver.postgres.failures import DRIVER_ERRORS, ConnectError, is_outage

CHECK_TIMEOUT = 2.0
KEEP_IDLE = 300.0
"""Seconds after which an idle connection is closed."""
CLOSE_TIMEOUT = 2.0
FULL_WAIT_TIMEOUT = 3.0
"""Seconds to wait for one of our own connections when the server has none left to open."""
FULL_PAUSE = 0.05

Connect = Callable[[], Awaitable[asyncpg.Connection]]


@dataclass(eq=False, slots=True)
class PooledConnection:
    """One connection, and when it was last used."""

    raw: asyncpg.Connection
    used_at: float


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many connections there are, how many of them one key may have, and how many requests wait.

    One that was idle for `check_after` seconds is checked before use: NAT and PgBouncer drop connections
    silently, and PostgreSQL's message that it ends one arrives before the end itself.
    """

    what: str
    size: int
    waiting: int
    patience: float
    per_key: int | None = None
    check_after: float = 0.0


class Pool:
    """Up to `limits.size` connections, opened when they are needed."""

    def __init__(
        self, connect: Connect, limits: PoolLimits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare without connecting."""
        self._connect = connect
        self._clock = clock
        self._check_after = limits.check_after
        self._limiter = ConcurrencyLimiter(
            limits.what, limits.size, limits.waiting, limits.patience, limits.per_key
        )
        self._idle: list[PooledConnection] = []
        self.size = limits.size
        self._lent = 0
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def turns(self) -> ConcurrencyLimiter:
        """What lets requests have a connection."""
        return self._limiter

    @property
    def lent(self) -> int:
        """Connections in use."""
        return self._lent

    @property
    def idle(self) -> int:
        """Open connections that nobody uses."""
        return len(self._idle)

    def connection(self, key: Hashable = None) -> "ConnectionContext":
        """Return a context manager for a working connection; `key` shares the pool fairly with other keys."""
        return ConnectionContext(self, key)

    async def acquire(self, key: Hashable) -> PooledConnection:
        """Return a connection; `release` returns it to the pool."""
        await self._limiter.acquire(key)
        try:
            member = self._take_trusted() or await self._take()
        except BaseException:
            self._limiter.release(key)
            raise
        self._lent += 1
        return member

    def release(self, key: Hashable, member: PooledConnection, error: BaseException | None) -> None:
        """Return a connection to the pool; `error` is what was raised during its use."""
        self._lent -= 1
        self._take_back(member, sound=error is None or _leaves_sound(error))
        self._limiter.release(key)

    async def close(self) -> None:
        """Close all connections; those in use are terminated when they are released."""
        self._closed = True
        while self._idle:
            self._discard(self._idle.pop())
        if self._closing:
            await asyncio.wait(self._closing, timeout=2 * CLOSE_TIMEOUT)

    def _take_trusted(self) -> PooledConnection | None:
        """Return the connection that was used last if that was recent enough to need no check."""
        if self._idle and self._clock() - self._idle[-1].used_at < self._check_after:
            member = self._idle.pop()
            if not member.raw.is_closed():
                return member
            self._discard(member)
        return None

    async def _take(self) -> PooledConnection:
        if self._closed:
            raise ConnectError from ConnectionError("this process is stopping")
        return await self._take_idle() or await self._open()

    async def _take_idle(self) -> PooledConnection | None:
        """Return the idle connection that was used last, unless it no longer responds."""
        while self._idle:
            member = self._idle.pop()
            if member.raw.is_closed():
                self._discard(member)
            elif self._clock() - member.used_at < self._check_after or await _responds(member.raw):
                return member
            else:
                self._discard(member)
                self._discard_idle()  # they have been idle for longer still
        return None

    async def _open(self) -> PooledConnection:
        until = self._clock() + FULL_WAIT_TIMEOUT
        while True:
            try:
                return PooledConnection(await self._connect(), self._clock())
            except ConnectError as error:
                full = isinstance(error.__cause__, asyncpg.TooManyConnectionsError)
                if not full or not self._lent or self._clock() >= until:
                    raise
            await asyncio.sleep(FULL_PAUSE)
            member = await self._take_idle()
            if member is not None:
                return member

    def _take_back(self, member: PooledConnection, *, sound: bool) -> None:
        if self._closed:
            member.raw.terminate()  # the loop may end before a task could close it in order
            return
        if not sound or member.raw.is_closed() or member.raw.is_in_transaction():
            self._discard(member)
            return
        member.used_at = self._clock()
        self._idle.append(member)
        if member.used_at - self._idle[0].used_at > KEEP_IDLE:
            self._discard(self._idle.pop(0))

    def _discard_idle(self) -> None:
        while self._idle:
            self._discard(self._idle.pop())

    def _discard(self, member: PooledConnection) -> None:
        """Close a connection in the background, since it may be dead."""
        if member.raw.is_closed():
            return
        task = asyncio.create_task(_close(member), name="close connection")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class ConnectionContext:
    """A connection of a pool as a context manager. A class, for the reason that `limiter.Slot` is one."""

    __slots__ = ("_key", "_member", "_pool")

    def __init__(self, pool: Pool, key: Hashable) -> None:
        """Prepare; the connection is acquired on entering."""
        self._pool = pool
        self._key = key

    async def __aenter__(self) -> PooledConnection:
        """Acquire it."""
        self._member = await self._pool.acquire(self._key)
        return self._member

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it."""
        self._pool.release(self._key, self._member, error)


def _leaves_sound(error: BaseException) -> bool:
    """Return whether a connection can be used again after `error`."""
    doubtful = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return isinstance(error, Exception) and not isinstance(error, doubtful) and not is_outage(error)


async def _responds(raw: asyncpg.Connection) -> bool:
    """Return whether it responds; terminate it when the caller is canceled meanwhile, who alone knows it."""
    try:
        await raw.execute("select 1", timeout=CHECK_TIMEOUT)
    except (OSError, *DRIVER_ERRORS):
        return False
    except BaseException:
        raw.terminate()
        raise
    return True


async def _close(member: PooledConnection) -> None:
    """Close it in order if the server responds, and terminate it in any case, also when canceled."""
    try:
        with suppress(OSError, *DRIVER_ERRORS):
            # The driver's own timeout does not hold while it cancels a statement.
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await member.raw.close()
    finally:
        if not member.raw.is_closed():
            member.raw.terminate()
