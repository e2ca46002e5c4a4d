"""Makes rare things frequent: pages so small that there are many, writers that take their time."""

import asyncio
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.sync import delta

PAGE_SIZE = 3
SLOW = 0.01
"""Seconds between the last statement of an administrator's change and its commit."""


def hard(put: Callable[[object, str, object], None]) -> None:
    """Change the running server; `put` sets an attribute, as `setattr` does."""
    put(delta, "PAGE_SIZE", PAGE_SIZE)
    commit = AsyncSession.commit

    async def slow(session: AsyncSession) -> None:
        await asyncio.sleep(SLOW)
        await commit(session)

    put(AsyncSession, "commit", slow)
