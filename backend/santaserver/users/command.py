"""The session commands of the command line: list and end."""

import sys

from santaserver.audit import SYSTEM
from santaserver.clock import system_clock
from santaserver.db import Database
from santaserver.outbox import discard
from santaserver.settings import Settings
from santaserver.users import session_repository as repository
from santaserver.users.service import normalise_username
from santaserver.users.session_audit import record_ended


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
        async with database.unit_of_work(discard) as work:
            if session_id is not None:
                ended = await repository.delete_by_id(work.connection, session_id, None)
            elif username is not None:
                ended = await repository.delete_of_user(work.connection, normalise_username(username))
            else:
                ended = await repository.delete_all(work.connection)
            record_ended(work, ended, SYSTEM, system_clock())
        return len(ended)
    finally:
        await database.close()
