"""Says in the log how to create the first administrator, as long as there is none."""

import asyncio
import logging
from datetime import datetime, timedelta

import asyncpg

from santaserver.db import Connection
from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.outbox import discard
from santaserver.postgres.failures import describe
from santaserver.state import AppState
from santaserver.users import setup_repository, setup_service
from santaserver.users.administrators import is_managed, lock_roles
from santaserver.users.setup_secret import FIRST_ADMIN, link

log = logging.getLogger(__name__)

RETRY = 2.0
SIBLINGS = timedelta(seconds=10)
"""Workers that start together print one link: the first of them."""
LATER = (DatabaseUnavailable, StatementTimeout, asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)
NOTICE = "nobody can manage this server yet: create the first administrator within %d minutes, at %s"


async def announce(state: AppState) -> None:
    """Print a setup link when there is no administrator; wait for the database until then."""
    await _announce(state)
    state.announced.set()


async def _announce(state: AppState) -> None:
    while True:
        try:
            async with state.database.unit_of_work(discard) as work:
                secret = await new_link(work.connection, state.clock())
        except LATER as error:
            log.debug("it is not known yet whether there is an administrator: %s", describe(error))
        except Exception:
            log.exception("cannot find out whether there is an administrator; a restart tries again")
            return
        else:
            if secret is not None:
                minutes = FIRST_ADMIN.total_seconds() // 60
                public_url = state.settings.server.public_url or "https://YOUR-SERVER"
                log.warning(NOTICE, minutes, link(public_url, secret))
            return
        await asyncio.sleep(RETRY)


async def new_link(connection: Connection, now: datetime) -> str | None:
    """Return the secret of a new link; None when there is an administrator, or a link of just now."""
    if await is_managed(connection):
        return None
    await lock_roles(connection)
    if await setup_repository.is_newer(connection, now - SIBLINGS):
        return None
    return await setup_service.first_link(connection, now)
