"""PostgreSQL: the pools of one process, one transaction per request, the only commit.

REST endpoints that change something get a `UnitOfWork`, plain reads and Santa's stages a bare asyncpg
connection. All commit only here, and only after a commit are the request's live messages published.
An outage becomes `DatabaseUnavailable`, logged once a minute.
"""

import time
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType

import asyncpg

from santaserver.audit import NO_REQUEST, RequestInfo
from santaserver.database_settings import DatabaseSettings
from santaserver.errors import DatabaseUnavailable, OutcomeUnknown, Problem, StatementTimeout
from santaserver.instruments import Counter
from santaserver.outbox import Outbox, Publish
from santaserver.postgres.connection import Connection, ReadCommitted, rows_of
from santaserver.postgres.credentials import DatabaseAddress, Hide
from santaserver.postgres.failures import (
    DRIVER_ERRORS,
    ConnectError,
    OutageLog,
    is_outage,
    log,
    took_too_long,
)
from santaserver.postgres.pool import ConnectionContext, Pool, PooledConnection, PoolLimits
from santaserver.unit_of_work import UnitOfWork

__all__ = ["Connection", "Database", "open_connection", "rows_of"]

CONNECT_TIMEOUT = 5.0
ACQUIRE_TIMEOUT = 10.0
COMMAND_TIMEOUT = 30.0
PREPARED_STATEMENTS = 100
"""Kept by each connection; the driver's own default."""
SYNC_CONNECTIONS = 10
EVENT_CONNECTIONS = 4
"""A separate limit, so that a burst of events takes no connections from syncs."""
REST_CONNECTIONS = 10
REST_PER_USER = 4
"""For one user at a time, so that one user's searches do not block the others."""
PREPARATION_CONNECTIONS = 4
"""For large changes of rules, which are made ready beside the syncs that wait for them."""
MAX_WAITING = 2000
TRUSTED_FOR = 0.25
"""Seconds after its use in which a Mac's request takes a connection unchecked: a check costs a sixth of the
request.
"""
HEALTH_CONNECTIONS = 1
"""Separate: a busy server is still healthy."""
FAILURES = Counter(
    "database_failures_total",
    "Work that the database did not do: it was not reachable, a statement took too long, or the connection "
    "ended during a commit.",
    kind=("unavailable", "timeout", "commit_unknown"),
)


class Database:
    """The pools of one process; connects on first use, so a start needs no database."""

    def __init__(self, settings: DatabaseSettings, hide: Hide = lambda _: None) -> None:
        """Prepare without connecting; `hide` keeps passwords that are learned later out of the log."""
        self._address = DatabaseAddress(settings, hide)
        self.outages = OutageLog()
        syncs = PoolLimits("syncs", SYNC_CONNECTIONS, MAX_WAITING, ACQUIRE_TIMEOUT, check_after=TRUSTED_FOR)
        events = PoolLimits(
            "event uploads", EVENT_CONNECTIONS, MAX_WAITING, ACQUIRE_TIMEOUT, check_after=TRUSTED_FOR
        )
        self._syncs, self._events = self._pool(syncs), self._pool(events)
        self._rest = self._pool(
            PoolLimits("requests", REST_CONNECTIONS, MAX_WAITING, ACQUIRE_TIMEOUT, per_key=REST_PER_USER)
        )
        self._preparations = self._pool(
            PoolLimits("rule preparations", PREPARATION_CONNECTIONS, MAX_WAITING, ACQUIRE_TIMEOUT)
        )
        self._health = self._pool(
            PoolLimits("health checks", HEALTH_CONNECTIONS, MAX_WAITING, ACQUIRE_TIMEOUT)
        )

    def _pool(self, limits: PoolLimits) -> Pool:
        return Pool(self._connect, limits)

    @property
    def pools(self) -> Mapping[str, Pool]:
        """The pools by their names in the metrics."""
        return {
            "syncs": self._syncs,
            "events": self._events,
            "rest": self._rest,
            "preparations": self._preparations,
            "health": self._health,
        }

    async def close(self) -> None:
        """Close all connections."""
        for pool in self.pools.values():
            await pool.close()

    @asynccontextmanager
    async def unit_of_work(
        self, publish: Publish, user: Hashable = None, request: RequestInfo = NO_REQUEST
    ) -> AsyncIterator[UnitOfWork]:
        """Yield what one request of a user changes; commit at the end, roll back on an error.

        Audit entries are stored last; only after the commit are live messages published.
        """
        committing = False
        try:
            async with self._lent(self._rest, user) as member:
                work = UnitOfWork(member.raw, request)
                async with member.raw.transaction():
                    yield work
                    await work.finish()
                    committing = True
        except DatabaseUnavailable as error:
            if committing:
                FAILURES.add("commit_unknown")
                raise OutcomeUnknown from error
            raise
        publish(work.outbox.messages)

    @asynccontextmanager
    async def read(self, user: Hashable = None) -> AsyncIterator[Connection]:
        """Yield a bare connection for the reads of one request of `user`, without a transaction."""
        async with self._lent(self._rest, user) as member:
            yield member.raw

    @asynccontextmanager
    async def transaction(self, publish: Publish) -> AsyncIterator[tuple[Connection, Outbox]]:
        """Yield a bare connection inside one transaction; commit at the end, roll back on an error."""
        async with self.connection(publish) as (connection, outbox), connection.transaction():
            yield connection, outbox

    def connection(self, publish: Publish) -> "Published":
        """Return what yields a bare connection; each statement commits unless a transaction is begun."""
        return Published(self._lent(self._syncs), publish)

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[Connection]:
        """Yield a bare connection on which each statement commits on its own: for events."""
        async with self._lent(self._events) as member:
            yield member.raw

    @asynccontextmanager
    async def preparation(self) -> AsyncIterator[Connection]:
        """Yield a bare connection for what large changes of rules take."""
        async with self._lent(self._preparations) as member:
            yield member.raw

    @asynccontextmanager
    async def probe(self) -> AsyncIterator[Connection]:
        """Yield a connection for health checks, which do not wait for other requests."""
        async with self._lent(self._health) as member:
            yield member.raw

    def _lent(self, pool: Pool, key: Hashable = None) -> "Lease":
        return Lease(self, pool.connection(key))

    async def _connect(self) -> asyncpg.Connection:
        address = await self._address.current()
        return await open_connection(address.dsn, pooled=address.pooled)

    async def connect_directly(self) -> asyncpg.Connection:
        """Open a session of one's own, outside the pools and past any pooler (LISTEN)."""
        return await open_connection((await self._address.current()).direct_dsn)

    def problem(self, error: Exception) -> Problem | None:
        """Return the problem for an error that is not the request's fault."""
        if is_outage(error):
            FAILURES.add("unavailable")
            self.outages.failed(error)
            return DatabaseUnavailable()
        if took_too_long(error):
            FAILURES.add("timeout")
            log.warning("a statement was canceled after %.0f s", COMMAND_TIMEOUT)
            return StatementTimeout()
        return None


class Lease:
    """A pooled connection of one request; raises `Problem` for errors that are not the request's fault."""

    __slots__ = ("_context", "_database", "_started_at")

    def __init__(self, database: Database, context: ConnectionContext) -> None:
        """Prepare; the connection is acquired on entering."""
        self._database = database
        self._context = context

    async def __aenter__(self) -> PooledConnection:
        """Acquire it."""
        self._started_at = time.monotonic()
        try:
            return await self._context.__aenter__()
        except Exception as error:
            self._translate(error)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it."""
        await self._context.__aexit__(kind, error, trace)
        if error is None:
            self._database.outages.worked(self._started_at)
        elif isinstance(error, Exception):
            self._translate(error)

    def _translate(self, error: Exception) -> None:
        problem = self._database.problem(error)
        if problem is not None:
            raise problem from error


class Published:
    """A connection with an outbox, which is published when nothing went wrong."""

    __slots__ = ("_lease", "_outbox", "_publish")

    def __init__(self, lease: Lease, publish: Publish) -> None:
        """Prepare; the connection is acquired on entering."""
        self._lease = lease
        self._publish = publish
        self._outbox = Outbox()

    async def __aenter__(self) -> tuple[Connection, Outbox]:
        """Acquire it."""
        return (await self._lease.__aenter__()).raw, self._outbox

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it."""
        await self._lease.__aexit__(kind, error, trace)
        if error is None:
            self._publish(self._outbox.messages)


async def open_connection(dsn: str, *, pooled: bool = False) -> asyncpg.Connection:
    """Connect to `dsn`, which may have any parameter that libpq knows; raise `ConnectError`.

    Behind a pooler in transaction mode, each transaction may run in another session of PostgreSQL, and none
    has the statements that were prepared in the one before.
    """
    try:
        return await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            statement_cache_size=0 if pooled else PREPARED_STATEMENTS,
            connection_class=ReadCommitted,
        )
    except (OSError, *DRIVER_ERRORS) as error:
        raise ConnectError from error
