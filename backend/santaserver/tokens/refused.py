"""Tokens that were refused: counted by network, and noted in the audit log, without their text."""

from datetime import datetime, timedelta

from santaserver import audit
from santaserver.audit import ANONYMOUS, ObjectType, RequestInfo, Target
from santaserver.db import Database
from santaserver.refusals import Refusals
from santaserver.users.counted import count
from santaserver.users.measured import TOKENS_REFUSED
from santaserver.users.throttle import network_of, token_counter

UNKNOWN = "*"
"""The object of an entry about a token that does not exist."""


class RefusedTokens:
    """What one worker refused."""

    def __init__(self, database: Database, kind: ObjectType = "token") -> None:
        """Know of none; `kind` is what the audit log calls them."""
        self._database = database
        self._kind = kind
        self._refusals = Refusals()

    async def count(self, token: int | None, request: RequestInfo, now: datetime) -> timedelta | None:
        """Count a refused token; return how long its sender has to wait, if at all.

        `token` is its number when there is or was such a token. Of a flood, one entry a minute is stored.
        """
        TOKENS_REFUSED.add(self._kind, "unknown" if token is None else "not_valid")
        network = network_of(request.address)
        counter = token_counter(network)
        async with self._database.read(f"tokens from {network}") as connection:
            wait = await count(connection, [counter], [counter], now)
            attempts = self._refusals.count(network, now)
            if attempts:
                target: Target = (self._kind, UNKNOWN if token is None else str(token))
                entry = audit.entry(
                    ANONYMOUS, now, "token_refused", target, None, {"attempts": attempts}, request=request
                )
                async with connection.transaction():
                    await audit.store(connection, [entry])
        return wait or None
