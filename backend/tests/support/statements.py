"""Records the statements that a running server sends to its database."""

from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

import asyncpg

from santaserver.postgres.pool import PooledConnection
from tests.support.server import RunningServer


def _is_beside(query: str) -> bool:
    """Tell whether it only tries a connection or looks up who is logged in."""
    return query == "select 1" or "user_session" in query


@contextmanager
def statements(server: RunningServer, pool_name: str = "_rest") -> Iterator[list[str]]:
    """Collect every statement, the beginning and the end of a transaction too, as it is sent."""
    sent: list[str] = []
    acquired: set[asyncpg.Connection] = set()
    pool = getattr(server.app.state.santa.database, pool_name)
    connection = pool.connection

    @asynccontextmanager
    async def watched(key: Hashable = None) -> AsyncIterator[PooledConnection]:
        async with connection(key) as member:
            acquired.add(member.raw)
            try:
                yield member
            finally:
                acquired.discard(member.raw)

    def noting(name: str) -> Any:  # noqa: ANN401 - a method of the driver
        original = getattr(asyncpg.Connection, name)

        async def run(self: asyncpg.Connection, query: str, *rest: Any, **options: Any) -> Any:  # noqa: ANN401
            passed_on = name == "execute" and rest  # to _execute
            if self in acquired and not passed_on and not _is_beside(query):
                sent.append(query)
            return await original(self, query, *rest, **options)

        return run

    with (
        patch.object(pool, "connection", watched),
        patch.multiple(
            asyncpg.Connection, **{name: noting(name) for name in ("execute", "_execute", "prepare")}
        ),
    ):
        yield sent
