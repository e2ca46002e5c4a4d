"""The session commands of the command line: list and end."""

import sys

from santaserver.clock import system_clock
from santaserver.db import Database
from santaserver.settings import Settings
from santaserver.users import session_repository as repository
from santaserver.users.service import normalise_username


async def print_sessions(settings: Settings, username: str | None) -> None:
    """Write a line for each live session, of one user or of all."""
    database = Database(settings.database)
    whose = normalise_username(username) if username else None
    try:
        async with database.read() as connection:
            rows = await repository.list_sessions(connection, system_clock(), whose)
    finally:
        await database.close()
    for row in rows:
        seen = row.last_seen_at.isoformat(timespec="seconds")
        browser = row.user_agent.encode("ascii", "backslashreplace").decode()
        sys.stdout.write(f"{row.id}\t{row.username}\t{seen}\t{row.address}\t{browser}\n")


async def revoke_sessions(settings: Settings, username: str | None, session_id: int | None) -> int:
    """End one session, those of a user, or all of them; return how many."""
    database = Database(settings.database)
    try:
        async with database.read() as connection:
            if session_id is not None:
                return int(await repository.delete_by_id(connection, session_id, None))
            if username is not None:
                return await repository.delete_of_user(connection, normalise_username(username))
            return await repository.delete_all(connection)
    finally:
        await database.close()
