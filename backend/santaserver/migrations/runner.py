"""Brings the database to this version's schema; safe when several do it at the same time.

Knows nothing of the application. An up-to-date database is recognised without loading Alembic.
"""

import asyncio
import logging
from enum import Enum
from pathlib import Path

import asyncpg

from santaserver.migrations import HEAD

log = logging.getLogger(__name__)

LOCK_KEY = 0x53616E7461
"""Advisory lock that one migrating process holds; the others wait for it."""

CONNECT_TIMEOUT = 5.0
RETRY_DELAYS = (0.2, 0.5, 1, 2, 4, 8, 8, 8)
"""Seconds between attempts to reach a database that is still starting."""


class Outcome(Enum):
    """What a run did."""

    UP_TO_DATE = "up to date"
    MIGRATED = "migrated"
    NEWER = "newer than this version"


async def current_revision(connection: asyncpg.Connection) -> str | None:
    """Return the revision of the schema, or None before the first one."""
    if await connection.fetchval("select to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("select version_num from alembic_version")
    return revision


async def connect(dsn: str) -> asyncpg.Connection:
    """Connect, waiting for a database that is starting; raise the last error after half a minute."""
    for delay in (*RETRY_DELAYS, None):
        try:
            return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError) as error:
            if delay is None:
                raise
            log.warning(
                "the database cannot be reached yet (%s); trying again in %s s",
                error.__class__.__name__,
                delay,
            )
            await asyncio.sleep(delay)
    raise AssertionError("unreachable")


async def migrate(dsn: str) -> Outcome:
    """Apply what is missing, under the advisory lock."""
    connection = await connect(dsn)
    try:
        known = _judge(await current_revision(connection))
        if known is not None:
            return known
        await connection.execute("select pg_advisory_lock($1)", LOCK_KEY)
        known = _judge(await current_revision(connection))
        if known is not None:
            return known
        await _upgrade(dsn)
        return Outcome.MIGRATED
    finally:
        await connection.close()


def _judge(revision: str | None) -> Outcome | None:
    if revision == HEAD:
        return Outcome.UP_TO_DATE
    if revision is not None and revision > HEAD:
        log.warning("the schema is at %s, newer than this version's %s: nothing to do", revision, HEAD)
        return Outcome.NEWER
    return None


async def _upgrade(dsn: str) -> None:
    from alembic import command  # noqa: PLC0415 - slow to load and rarely needed
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy import Connection  # noqa: PLC0415

    from santaserver.db import make_engine  # noqa: PLC0415

    config = Config()
    # A per cent sign would begin a reference in the configuration.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))

    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    engine = make_engine(dsn)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()
