"""Hears from PostgreSQL that a session was ended, by this worker, another one or a hand-written query.

What a worker remembers counts only while this line is known to work, or for a second: a line that
went dead, or that a pooler between us and PostgreSQL swallows, makes it forget, not err.
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
"""What a worker sends itself, over another connection, to see whether it hears."""
TRUSTED = 1.0
"""Seconds that something is believed after it was last confirmed."""
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
        """Tell whether what was read at `since`, in `generation`, is still to be believed."""
        self._used = True
        if generation != self.generation:
            return False
        return now - max(since, self._confirmed_at) < TRUSTED

    async def run(self) -> None:
        """Listen until cancelled, connecting again after every outage."""
        while True:
            try:
                connection = await self._database.connect()
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
                log.warning("PostgreSQL notifications do not arrive, perhaps because of a pooler")
                raise TimeoutError
            asked_at = loop.time()
            await connection.execute("select 1", timeout=PROBE_TIMEOUT)
            # PostgreSQL sends what it has to tell before it answers.
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
