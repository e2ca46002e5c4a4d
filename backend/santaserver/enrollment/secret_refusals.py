"""Requests that show a known secret, but do not meet its conditions: counted for the secret, and noted for
the Mac.

Whoever has a secret that is refused can send any number of requests. So a request only counts in memory; a
task stores the numbers, at most every few seconds.
"""

import asyncio
import logging
from collections import Counter
from datetime import datetime
from typing import get_args

import asyncpg

from santaserver.db import Database
from santaserver.enrollment import secret_repository as repository
from santaserver.enrollment.refused_secret import RefusalReason, Refused, SecretRefused
from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.postgres.failures import describe

log = logging.getLogger(__name__)

EVERY = 3.0
"""Seconds between two writes."""
MOST_MACHINES = 1000
"""Macs noted in one write."""
MAX_ADDRESS = 300


class RefusedSecrets:
    """The refusals of this process that are not stored yet, and their number since its start."""

    def __init__(self) -> None:
        """Know none."""
        self.counted: Counter[RefusalReason] = Counter(dict.fromkeys(get_args(RefusalReason), 0))
        self.secrets: dict[int, tuple[int, Refused]] = {}
        """Secret → (number of requests, the last one)."""
        self.machines: dict[str, Refused] = {}
        self._any = asyncio.Event()

    def count(self, refused: SecretRefused, machine_id: str, address: str, now: datetime) -> None:
        """Count a refused request."""
        self.counted[refused.reason] += 1
        last = Refused(refused.enrollment, refused.reason, address[:MAX_ADDRESS], now)
        if refused.secret is not None:
            self.secrets[refused.secret] = (self.secrets.get(refused.secret, (0, last))[0] + 1, last)
        if machine_id in self.machines or len(self.machines) < MOST_MACHINES:
            self.machines[machine_id] = last
        self._any.set()

    async def store(self, database: Database) -> None:
        """Wait for refusals and store them; raise what the database raises, and keep the numbers then."""
        await self._any.wait()
        self._any.clear()
        secrets, machines = self.secrets, self.machines
        self.secrets, self.machines = {}, {}
        try:
            async with database.statements() as connection:
                await repository.add_refusals(connection, secrets)
                await repository.note_refused_machines(connection, machines)
        except BaseException:
            for secret, (number, last) in secrets.items():
                newer = self.secrets.get(secret, (0, last))
                self.secrets[secret] = (number + newer[0], newer[1])
            self.machines = {**machines, **self.machines}
            self._any.set()
            raise


async def keep_refusals(database: Database, refused: RefusedSecrets) -> None:
    """Store refusals until canceled."""
    while True:
        try:
            await refused.store(database)
        except (DatabaseUnavailable, StatementTimeout, asyncpg.UndefinedTableError) as error:
            log.debug("refused enrollment secrets are counted later: %s", describe(error))
        except Exception:
            log.exception("cannot store how often enrollment secrets were refused; it is tried again")
        await asyncio.sleep(EVERY)
