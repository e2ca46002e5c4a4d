"""The figures that only the database knows, read for `/metrics` by one task of each worker.

A scrape never waits for the database: it shows the last figures and asks for new ones, which are read at most
every `EVERY` seconds, and not at all while nobody scrapes. Figures that are too old are not shown.
"""

import asyncio
import logging
from datetime import timedelta

import asyncpg
from msgspec import Struct

from santaserver.clock import Clock
from santaserver.db import Database
from santaserver.errors import DatabaseUnavailable, Overloaded, StatementTimeout
from santaserver.overview.schemas import Overview
from santaserver.overview.service import get_overview
from santaserver.overview.shared import SharedOverview
from santaserver.postgres.failures import describe
from santaserver.status.repository import ServerFigures, read_figures

log = logging.getLogger(__name__)

EVERY = 30.0
SHOWN_FOR = timedelta(minutes=3)
USER = "metrics"
"""For whom connections are taken: they count as those of one user."""


class Snapshot(Struct, frozen=True):
    """What was read at one time."""

    server: ServerFigures
    overview: Overview


class Figures:
    """The last snapshot of this worker."""

    def __init__(self, database: Database, overview: SharedOverview, clock: Clock) -> None:
        """Begin without one; the count of the fleet is the one that open pages share."""
        self._database = database
        self._overview = overview
        self._clock = clock
        self._last: Snapshot | None = None
        self._asked = asyncio.Event()

    def ask(self) -> Snapshot | None:
        """Return the last snapshot unless it is too old, and have a new one read soon."""
        self._asked.set()
        last = self._last
        return last if last is not None and abs(self._clock() - last.server.at) <= SHOWN_FOR else None

    async def refresh(self) -> Snapshot:
        """Read a snapshot."""
        async with self._database.read(USER) as connection:
            server = await read_figures(connection, self._clock())
        self._last = Snapshot(server, await self._overview.read(self._count))
        return self._last

    async def _count(self) -> Overview:
        async with self._database.read(USER) as connection:
            return await get_overview(connection, self._clock())

    async def keep(self) -> None:
        """Read when asked, until canceled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self.refresh()
            except (DatabaseUnavailable, StatementTimeout, Overloaded, asyncpg.UndefinedTableError) as error:
                log.debug("the figures for metrics are read later: %s", describe(error))
            except Exception:
                log.exception("cannot read the figures for metrics; it is tried again in %.0f s", EVERY)
            await asyncio.sleep(EVERY)
