"""The database session that a backup or a restore runs in, and whether it may."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from santaserver.backup.bad_backup import BadBackup

CONNECT_TIMEOUT = 10.0
CLOSE_TIMEOUT = 5.0
ATTEMPTS = 10
PAUSE = 0.2
"""Seconds between two looks at who else is connected; a session takes a moment to end."""

OTHERS = """select coalesce(nullif(application_name, ''), 'a session without a name') || ' as ' || usename
from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and usename is not null
order by 1"""
LISTED = 5


@asynccontextmanager
async def session(dsn: str, name: str) -> AsyncIterator[Any]:
    """Yield a connection to PostgreSQL itself; it is terminated on an error, since COPY may be under way."""
    connection = await asyncpg.connect(
        dsn, timeout=CONNECT_TIMEOUT, server_settings={"application_name": f"santaserver {name}"}
    )
    try:
        yield connection
        await connection.close(timeout=CLOSE_TIMEOUT)
    finally:
        connection.terminate()


async def check_owner(connection: Any, owner_variable: bool) -> None:  # noqa: ANN401
    """Raise `BadBackup` unless the session's role can make tables in the database."""
    role, may = await connection.fetchrow(
        "select current_user::text, has_schema_privilege(current_schema(), 'CREATE')"
    )
    owns = await connection.fetchval(
        """select coalesce(bool_and(pg_has_role(relowner, 'USAGE')), true) from pg_class
           where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'v')"""
    )
    if not may or not owns:
        which = "DATABASE_OWNER_URL has to name" if owner_variable else "set DATABASE_OWNER_URL to that of"
        raise BadBackup(
            f"the role {role} does not own the database's tables, so it cannot restore: {which} the role "
            "that does"
        )


async def check_alone(connection: Any) -> None:  # noqa: ANN401
    """Raise `BadBackup` while others are connected: what a server remembers would be of another database."""
    for _ in range(ATTEMPTS):
        others = [row[0] for row in await connection.fetch(OTHERS)]
        if not others:
            return
        await asyncio.sleep(PAUSE)
    listed = ", ".join(sorted(set(others))[:LISTED])
    raise BadBackup(
        f"{len(others)} other sessions use the database ({listed}): stop the server, every replica of it, "
        "and the pooler in front of the database if there is one, then try again"
    )
