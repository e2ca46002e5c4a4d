"""PostgreSQL: one engine and one pool per process, one transaction per request, THE commit.

REST endpoints get an ORM session, Santa's stages a bare asyncpg connection (measured: a third of
the CPU). Both commit only here, and only after a commit are the request's live messages
published. An unreachable database becomes `DatabaseUnavailable`, logged once per outage.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Begin a transaction; commit at its end, roll back on an error."""

    def is_closed(self) -> bool:
        """Tell whether the connection has ended."""


class Database:
    """The engine and the pool of one process; connects on first use, so a start needs no database."""

    def __init__(self, dsn: str) -> None:
        """Prepare for `dsn` (postgresql://…) without connecting."""
        self.dsn = dsn
        self._syncs = Connections(dsn, SYNC_CONNECTIONS)
        self._events = Connections(dsn, EVENT_CONNECTIONS)
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
        await self._syncs.close()
        await self._events.close()
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
        async with self.connection(publish) as (connection, outbox), connection.transaction():
            yield connection, outbox

    @asynccontextmanager
    async def connection(self, publish: Publish) -> AsyncIterator[tuple[Connection, Outbox]]:
        """Yield a bare connection; each statement commits by itself unless a transaction is begun."""
        outbox = Outbox()
        async with self._lent(self._syncs) as connection:
            yield connection, outbox
        publish(outbox.messages)

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[Connection]:
        """Yield a bare connection on which each statement commits by itself: for events."""
        async with self._lent(self._events) as connection:
            yield connection

    @asynccontextmanager
    async def _lent(self, connections: "Connections") -> AsyncIterator[Connection]:
        try:
            connection = await connections.take()
            try:
                yield connection
            except BaseException:
                await connections.dismiss(connection)
                raise
            await connections.give_back(connection)
        except OUTAGES as error:
            raise self._outage(error) from error
        self._recovered()

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


class Connections:
    """A pool whose connections stay at hand between requests: its own way to lend one costs half a query."""

    def __init__(self, dsn: str, size: int) -> None:
        """Prepare for up to `size` connections without opening one."""
        self._dsn = dsn
        self._size = size
        self._pool: asyncpg.Pool | None = None
        self._at_hand: list[Connection] = []
        self._waiting = 0

    async def take(self) -> Connection:
        """Return a connection that nobody else uses, opening one when there is room."""
        while self._at_hand:
            connection = self._at_hand.pop()
            if not connection.is_closed():
                return connection
            await self.dismiss(connection)
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                self._dsn,
                min_size=0,
                max_size=self._size,
                timeout=CONNECT_TIMEOUT,
                command_timeout=COMMAND_TIMEOUT,
                reset=_nothing_to_reset,
            )
            await self._pool
        self._waiting += 1
        try:
            lent: Connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT)
        finally:
            self._waiting -= 1
        return lent

    async def give_back(self, connection: Connection) -> None:
        """Take a connection back in good order; whoever waits in the pool for one gets it."""
        if self._waiting:
            await self.dismiss(connection)
        else:
            self._at_hand.append(connection)

    async def dismiss(self, connection: Connection) -> None:
        """Leave a connection to the pool, which looks after one that was interrupted or is closed."""
        if self._pool is not None:
            await self._pool.release(connection)

    async def close(self) -> None:
        """Close all of them."""
        while self._at_hand:
            await self.dismiss(self._at_hand.pop())
        if self._pool is not None:
            await self._pool.close()
        self._pool = None


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
