"""PostgreSQL: one engine and one pool per process, one transaction per request, THE commit.

REST endpoints get an ORM session, Santa's stages a bare asyncpg connection (measured: a third of
the CPU). Both commit only here, and only after a commit are the request's live messages
published. An unreachable database becomes `DatabaseUnavailable`, logged once per outage.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from santaserver.errors import DatabaseUnavailable
from santaserver.live.outbox import Outbox, Publish

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
ACQUIRE_TIMEOUT = 10.0
COMMAND_TIMEOUT = 30.0
SYNC_CONNECTIONS = 10
EVENT_CONNECTIONS = 4
"""Of their own, so that a burst of events leaves those of the syncs alone."""
REST_CONNECTIONS = 5
REST_OVERFLOW = 5

OUTAGES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InterfaceError,
)
"""What asyncpg raises when PostgreSQL is away, starting, stopping or refuses this client."""


class Connection(Protocol):
    """The part of an asyncpg connection that repositories use; rows act like mappings."""

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement and return its command tag."""

    async def fetch(self, query: str, *args: object) -> Sequence[Any]:
        """Return all rows."""

    async def fetchrow(self, query: str, *args: object) -> Any | None:  # noqa: ANN401 - a record
        """Return the first row or None."""

    async def fetchval(self, query: str, *args: object) -> Any:  # noqa: ANN401 - a value of any type
        """Return the first column of the first row, or None."""


class Database:
    """The engine and the pool of one process; connects on first use, so a start needs no database."""

    def __init__(self, dsn: str) -> None:
        """Prepare for `dsn` (postgresql://…) without connecting."""
        self.dsn = dsn
        self._pool: asyncpg.Pool | None = None
        self._event_pool: asyncpg.Pool | None = None
        self._reachable = True
        self.engine = make_engine(
            dsn,
            pool_size=REST_CONNECTIONS,
            max_overflow=REST_OVERFLOW,
            pool_timeout=ACQUIRE_TIMEOUT,
            pool_pre_ping=True,
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    async def close(self) -> None:
        """Give all connections back."""
        for pool in (self._pool, self._event_pool):
            if pool is not None:
                await pool.close()
        self._pool = self._event_pool = None
        await self.engine.dispose()

    @asynccontextmanager
    async def session(self, publish: Publish) -> AsyncIterator[AsyncSession]:
        """Yield the ORM session of one request; commit at the end, roll back on an error.

        `session.info["outbox"]` collects live messages for `publish`.
        """
        outbox = Outbox()
        async with self._sessions(info={"outbox": outbox}) as session:
            try:
                await session.connection()
                yield session
                await session.commit()
            except OUTAGES as error:
                raise self._outage(error) from error
            except (OperationalError, InterfaceError, DBAPIError) as error:
                if (
                    not isinstance(error, OperationalError | InterfaceError)
                    and not error.connection_invalidated
                ):
                    raise
                raise self._outage(error) from error
        self._recovered()
        publish(outbox.messages)

    @asynccontextmanager
    async def transaction(self, publish: Publish) -> AsyncIterator[tuple[Connection, Outbox]]:
        """Yield a bare connection inside one transaction; commit at the end, roll back on an error."""
        outbox = Outbox()
        try:
            pool = await self.pool()
            async with pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection, connection.transaction():
                yield connection, outbox
        except OUTAGES as error:
            raise self._outage(error) from error
        self._recovered()
        publish(outbox.messages)

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[Connection]:
        """Yield a bare connection on which each statement commits by itself: for events."""
        try:
            pool = await self.event_pool()
            async with pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
                yield connection
        except OUTAGES as error:
            raise self._outage(error) from error
        self._recovered()

    async def pool(self) -> asyncpg.Pool:
        """Return the pool, making it (without a connection) the first time."""
        if self._pool is None:
            self._pool = self._make_pool(SYNC_CONNECTIONS)
            await self._pool
        return self._pool

    async def event_pool(self) -> asyncpg.Pool:
        """Return the pool for events, making it the first time."""
        if self._event_pool is None:
            self._event_pool = self._make_pool(EVENT_CONNECTIONS)
            await self._event_pool
        return self._event_pool

    def _make_pool(self, size: int) -> asyncpg.Pool:
        return asyncpg.create_pool(
            self.dsn,
            min_size=0,
            max_size=size,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            reset=_nothing_to_reset,
        )

    async def connect(self) -> asyncpg.Connection:
        """Open a connection of one's own, outside the pool (LISTEN)."""
        return await open_connection(self.dsn)

    def _outage(self, error: BaseException) -> DatabaseUnavailable:
        if self._reachable:
            self._reachable = False
            log.error("database unreachable, requests get 503 until it is back: %s", describe(error))
        return DatabaseUnavailable()

    def _recovered(self) -> None:
        if not self._reachable:
            self._reachable = True
            log.warning("database reachable again")


async def driver(session: AsyncSession) -> Connection:
    """Return the driver's connection under a session, inside the session's transaction."""
    raw = await (await session.connection()).get_raw_connection()
    connection: Connection | None = raw.driver_connection
    if connection is None:
        raise DatabaseUnavailable
    return connection


async def _nothing_to_reset(_: object) -> None:
    """Spare the round trip that clears a connection: nobody here leaves settings or locks on one."""


def describe(error: BaseException) -> str:
    """Name an error in one line without the statement it came from."""
    original = getattr(error, "orig", None) or error
    return (
        f"{original.__class__.__name__}: {str(original).splitlines()[0] if str(original) else 'no details'}"
    )


async def open_connection(dsn: str) -> asyncpg.Connection:
    """Connect to `dsn`, which may have any parameter that libpq knows."""
    return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT, command_timeout=COMMAND_TIMEOUT)


def make_engine(dsn: str, **options: Any) -> AsyncEngine:  # noqa: ANN401 - SQLAlchemy's options
    """Make an engine whose connections are opened as all others are, from the same address."""
    return create_async_engine("postgresql+asyncpg://", async_creator=lambda: open_connection(dsn), **options)
