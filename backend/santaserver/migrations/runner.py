"""Brings the database to this version's schema; safe when several do it at the same time.

Each file is applied in a transaction of its own, under an advisory lock that ends with it: poolers
between us and PostgreSQL give a session's lock to someone else.
"""

import asyncio
import logging
from collections.abc import Sequence
from enum import Enum

import asyncpg

from santaserver import audit
from santaserver.audit import SYSTEM
from santaserver.clock import system_clock
from santaserver.migrations.files import Migration, MigrationError, load, missing
from santaserver.migrations.lock_holders import in_the_way, lock_holders
from santaserver.migrations.privileges import PrivilegeError, grant, login_role
from santaserver.migrations.schema_version import applied_versions, store
from santaserver.postgres.failures import is_mistrusted

log = logging.getLogger(__name__)

LOCK_KEY = 0x53616E7461
"""Advisory lock that one migrating process holds; the others wait for it."""
LOCK_TIMEOUT = "2s"
"""How long a migration waits for a table that someone uses. Requests queue behind it for as long."""
LOCK_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0)
"""Seconds until it tries again; requests are served in between."""

CONNECT_TIMEOUT = 5.0
RETRY_DELAYS = (0.2, 0.5, 1, 2, 4, 8, 8, 8)
"""Seconds between attempts to reach a database that is still starting."""


class Outcome(Enum):
    """What a run did."""

    UP_TO_DATE = "up to date"
    MIGRATED = "migrated"
    NEWER = "newer than this version"


async def connect(dsn: str) -> asyncpg.Connection:
    """Connect, waiting for a database that is starting; raise the last error after half a minute."""
    for delay in (*RETRY_DELAYS, None):
        try:
            return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError) as error:
            if delay is None or is_mistrusted(error):
                raise
            log.warning(
                "the database cannot be reached yet (%s); trying again in %s s",
                error.__class__.__name__,
                delay,
            )
            await asyncio.sleep(delay)
    raise AssertionError("unreachable")


async def migrate(dsn: str, server: str | None = None) -> Outcome:
    """Apply what is missing, one file after the other.

    With the `server`'s own address, give its role what it needs and nothing else.
    """
    known = load()
    connection = await connect(dsn)
    outcome = Outcome.UP_TO_DATE
    try:
        while missing(known, applied := await applied_versions(connection)):
            if await _apply_next(connection, known):
                outcome = Outcome.MIGRATED
        if server is not None:
            await _separate(connection, await login_role(server, CONNECT_TIMEOUT))
    finally:
        await connection.close()
    newest, own = max(applied, default=0), known[-1].version
    if newest > own:
        log.warning("the schema is at %04d, newer than this version's %04d: nothing to do", newest, own)
        return Outcome.NEWER
    return outcome


async def _apply_next(connection: asyncpg.Connection, known: Sequence[Migration]) -> bool:
    """Apply the next file; return False when another process was faster."""
    for attempt, pause in enumerate((*LOCK_PAUSES, None), 1):
        lacking: list[Migration] = []
        try:
            # Any other would not see what was committed while it waited for the lock.
            async with connection.transaction(isolation="read_committed"):
                await connection.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)
                lacking = missing(known, await applied_versions(connection))
                if lacking:
                    await _apply(connection, lacking[0])
                return bool(lacking)
        except asyncpg.LockNotAvailableError as error:
            holders = await lock_holders(connection, lacking[0])
            if pause is None:
                raise MigrationError(in_the_way(lacking[0], attempt, holders)) from error
            who = "; ".join(str(one) for one in holders) or "several transactions in turn"
            log.warning("a table is in use (%s); the migration is tried again in %s s", who, pause)
            await asyncio.sleep(pause)
    raise AssertionError("unreachable")


async def _separate(connection: asyncpg.Connection, role: str) -> None:
    try:
        async with connection.transaction(isolation="read_committed"):
            await connection.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)
            await grant(connection, role)
    except PrivilegeError as error:
        raise MigrationError(str(error)) from error


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
    try:
        await connection.execute(migration.sql)
    except asyncpg.LockNotAvailableError:
        raise
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.name} failed and was rolled back: {error}") from error
    await store(connection, migration)
    if await connection.fetchval("select to_regproc('audit_append') is not null"):
        target: audit.Target = ("schema", f"{migration.version:04d}")
        await audit.store(connection, [audit.entry(SYSTEM, system_clock(), "schema_migrated", target)])
    log.info("applied %s", migration.name)
