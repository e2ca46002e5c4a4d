"""Gets notified by PostgreSQL when a session is ended, by any worker or a manual query.

Cached sessions are valid only while the notifications are known to arrive, or for a second: with a dead
connection, or a pooler that drops notifications, a worker reads sessions from the database again.
"""

import asyncio
import logging

import asyncpg

from santaserver.db import Database
from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.postgres.failures import describe, is_outage

log = logging.getLogger(__name__)

CHANNEL = "santaserver_session"
PROVE = "prove"
"""The notification that a worker sends to itself, over another connection, as a test."""
TRUSTED = 1.0
"""Seconds that a cached session is valid after the last confirmation."""
PROBE = 0.4
PROBE_TIMEOUT = 2.0
RETRY = 2.0


class SessionWatch:
    """A LISTEN connection; `generation` changes with each session that ends anywhere."""

    def __init__(self, database: Database) -> None:
        """Prepare; `run` connects."""
        self._database = database
        self._proven = asyncio.Event()
        self._used = False
        self._confirmed_at = float("-inf")
        self.generation = 0

    def still_true(self, since: float, generation: int, now: float) -> bool:
        """Return whether what was read at `since`, in `generation`, is still valid."""
        self._used = True
        if generation != self.generation:
            return False
        return now - max(since, self._confirmed_at) < TRUSTED

    async def run(self) -> None:
        """Listen until canceled, reconnecting after every outage."""
        while True:
            try:
                connection = await self._database.connect_directly()
                try:
                    await self._listen(connection)
                finally:
                    self._forget()
                    connection.terminate()
            except (DatabaseUnavailable, StatementTimeout, TimeoutError) as error:
                log.debug("sessions are looked up each second: %s", describe(error))
            except Exception as error:
                if not is_outage(error):
                    log.exception("revocations of sessions do not arrive; sessions are looked up each second")
                log.debug("sessions are looked up each second: %s", describe(error))
            await asyncio.sleep(RETRY)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        await connection.add_listener(CHANNEL, self._heard)
        self._forget()
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(PROBE)
            if not self._used:
                continue
            self._used = False
            if not self._proven.is_set() and not await self._prove():
                log.warning(
                    "PostgreSQL notifications do not arrive: sessions are read each second. "
                    "If DATABASE_URL leads to a pooler in transaction mode, set DATABASE_DIRECT_URL"
                )
                raise TimeoutError
            asked_at = loop.time()
            await connection.execute("select 1", timeout=PROBE_TIMEOUT)
            # PostgreSQL sends notifications before the response.
            self._confirmed_at = asked_at

    async def _prove(self) -> bool:
        async with self._database.probe() as other:
            await other.execute("select pg_notify($1, $2)", CHANNEL, PROVE)
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                await self._proven.wait()
        except TimeoutError:
            return False
        return True

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload == PROVE:
            self._proven.set()
        else:
            self.generation += 1

    def _forget(self) -> None:
        self.generation += 1
        self._confirmed_at = float("-inf")
        self._proven.clear()
