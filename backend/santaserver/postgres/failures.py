"""Classifies PostgreSQL's errors: an outage, or a fault of the statement. Pure."""

import logging
import ssl
import time
from collections.abc import Callable

import asyncpg

log = logging.getLogger("santaserver.db")

LOG_EVERY = 60.0
"""Seconds between two lines about outages."""

OUTAGE_STATES = (
    "08",  # the connection was lost or refused; PgBouncer reports its own troubles with 08P01
    "28",  # wrong user or password
    "3D000",  # no such database
    "53",  # no connections, memory or disk left
    "57P01",  # shutting down
    "57P02",  # crashed
    "57P03",  # starting up or not yet accepting connections
    "57P04",  # database dropped
    "57P05",  # idle session ended
    "25P03",  # idle transaction ended
    "25006",  # read-only: the primary has become a standby
    "26000",  # a prepared statement is gone: a pooler changed the session
)
"""SQLSTATEs, or their prefixes."""

HINTS = (
    ("28", "it refuses the user or password: check POSTGRES_USER and POSTGRES_PASSWORD, or DATABASE_URL"),
    ("3D000", "the database does not exist: check POSTGRES_DB or DATABASE_URL"),
    ("53300", "no connection is left: raise max_connections or run fewer workers"),
    ("53100", "its disk is full"),
    ("57P03", "it is starting or stopping"),
    ("57P01", "it is shutting down"),
    ("25006", "it is read-only, probably a standby"),
    (
        "26000",
        "a pooler in transaction mode is in between: set DATABASE_DIRECT_URL to PostgreSQL's own address",
    ),
)


MISTRUSTED = (
    "its certificate is refused: the address has to name a host that the certificate is for, and sslrootcert "
    "(or PGSSLROOTCERT) the file with the CA that issued it"
)
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class ConnectError(Exception):
    """No connection could be opened; the cause says why."""


def origin(error: BaseException) -> BaseException:
    """Return the driver's error below what the pool made of it."""
    return error.__cause__ if isinstance(error, ConnectError) and error.__cause__ else error


def is_outage(error: BaseException) -> bool:
    """Return whether the database is unreachable, starting, stopping, full or refuses this client."""
    if isinstance(error, ConnectError):
        return True
    cause = origin(error)
    if isinstance(cause, asyncpg.PostgresError):
        return (cause.sqlstate or "").startswith(OUTAGE_STATES)
    return isinstance(cause, ConnectionError) or _lost_in_the_driver(cause)


def _lost_in_the_driver(error: BaseException) -> bool:
    """Return whether asyncpg failed because its connection had ended."""
    if type(error) in {asyncpg.InternalClientError, asyncpg.ProtocolError}:
        return True
    # Wrong arguments are InterfaceErrors as well, and ValueErrors besides.
    return (
        isinstance(error, asyncpg.InterfaceError)
        and not isinstance(error, ValueError)
        and "clos" in str(error)
    )


def took_too_long(error: BaseException) -> bool:
    """Tell whether a statement was ended by its time limit: that says nothing about the database."""
    return isinstance(origin(error), TimeoutError | asyncpg.QueryCanceledError)


def describe(error: BaseException) -> str:
    """Name an error in one line without the statement it came from."""
    cause = origin(error)
    lines = str(cause).splitlines()
    return f"{cause.__class__.__name__}: {lines[0] if lines else 'no details'}"


def hint(error: BaseException) -> str:
    """Describe an outage and the remedy, as far as they are known."""
    cause = origin(error)
    if is_mistrusted(cause):
        return f"{MISTRUSTED} ({describe(error)})"
    state = getattr(cause, "sqlstate", None) or ""
    remedy = next((text for start, text in HINTS if state.startswith(start)), "")
    return f"{remedy} ({describe(error)})" if remedy else describe(error)


def is_mistrusted(error: BaseException) -> bool:
    """Tell whether a server's certificate was refused: trying again does not help."""
    return isinstance(error, ssl.SSLCertVerificationError)


class OutageLog:
    """Writes one line a minute while the database is unreachable, and one when it is back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with a database that is there."""
        self._clock = clock
        self._first_at: float | None = None
        self._last_at = 0.0
        self._line_at: float | None = None
        self._announced = False
        self._unsaid = 0

    def failed(self, error: BaseException) -> None:
        """Take note of an outage."""
        now = self._clock()
        self._last_at = now
        if self._first_at is None:
            self._first_at = now
        if self._line_at is not None and now - self._line_at < LOG_EVERY:
            self._unsaid += 1
            return
        more = f"; {self._unsaid} more since the last line" if self._unsaid else ""
        log.error("database unavailable, requests get 503 until it is back: %s%s", hint(error), more)
        self._line_at, self._unsaid, self._announced = now, 0, True

    def worked(self, started_at: float) -> None:
        """Take note of work that began at `started_at` and succeeded."""
        if self._first_at is None or started_at <= self._last_at:
            return
        if self._announced:
            log.warning("database available again after %.0f s", self._clock() - self._first_at)
        self._first_at, self._announced = None, False

    @property
    def ongoing(self) -> bool:
        """Whether the last result was an outage."""
        return self._first_at is not None
