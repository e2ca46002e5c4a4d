"""The pool of connections, on connections that do what a test wants."""

import asyncio
from typing import Any, cast

import asyncpg
import pytest

from santaserver.postgres.pool import Pool, PoolLimits


class Stuck:
    """A connection that never responds and never finishes closing, like one whose peer is gone."""

    def __init__(self) -> None:
        self.terminated = False
        self.closing = asyncio.Event()
        self.asked = asyncio.Event()

    def is_closed(self) -> bool:
        return self.terminated

    def is_in_transaction(self) -> bool:
        return False

    async def close(self, **_: Any) -> None:  # noqa: ANN401 - the driver's options
        self.closing.set()
        await asyncio.Event().wait()

    async def execute(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - the driver's arguments
        self.asked.set()
        await asyncio.Event().wait()

    def terminate(self) -> None:
        self.terminated = True


def test_a_connection_that_does_not_close_is_terminated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("santaserver.postgres.pool.CLOSE_TIMEOUT", 0.01)
    raw = Stuck()
    asyncio.run(used_once(raw))
    assert raw.terminated


def test_what_is_still_closing_when_the_loop_ends_is_terminated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("santaserver.postgres.pool.CLOSE_TIMEOUT", 3600.0)
    raw = Stuck()

    async def ended_early() -> None:
        closing = asyncio.create_task(used_once(raw))
        await raw.closing.wait()
        closing.cancel()

    asyncio.run(ended_early())
    assert raw.terminated


def test_what_is_still_in_use_when_the_loop_ends_is_terminated() -> None:
    raw = Stuck()

    async def ended_early() -> None:
        pool, used = pool_of(raw), asyncio.Event()

        async def use() -> None:
            async with pool.connection():
                used.set()
                await asyncio.Event().wait()

        user = asyncio.create_task(use())
        await used.wait()
        await pool.close()
        assert not user.done()

    asyncio.run(ended_early())
    assert raw.terminated


def test_what_is_being_checked_when_its_request_is_canceled_is_terminated() -> None:
    raw = Stuck()

    async def canceled() -> None:
        pool = pool_of(raw)
        async with pool.connection():
            pass  # from now on it is idle, and checked before its next use
        user = asyncio.create_task(pool.acquire(None))
        await raw.asked.wait()
        user.cancel()
        await asyncio.wait([user])
        assert user.cancelled()
        assert raw.terminated

    asyncio.run(canceled())


async def used_once(raw: Stuck) -> None:
    """Use a connection once, then close the pool."""
    pool = pool_of(raw)
    async with pool.connection():
        pass
    await pool.close()


def pool_of(raw: Stuck) -> Pool:
    """Return a pool that opens this connection."""

    async def connect() -> asyncpg.Connection:
        return cast("asyncpg.Connection", raw)

    return Pool(connect, PoolLimits("requests", 1, 1, 1.0))
