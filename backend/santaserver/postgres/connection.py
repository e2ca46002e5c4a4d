"""The connections that repositories use."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from uuid import uuid4

import asyncpg


class Connection(Protocol):
    """The part of an asyncpg connection that repositories use; rows act like mappings."""

    async def execute(
        self,
        query: str,
        *args: object,
        timeout: float | None = None,  # noqa: ASYNC109 - asyncpg's, instead of COMMAND_TIMEOUT
    ) -> str:
        """Run a statement and return its command tag."""

    async def fetch(self, query: str, *args: object) -> Sequence[Any]:
        """Return all rows."""

    async def cursor(self, query: str, *args: object) -> Any:  # noqa: ANN401 - its `fetch` returns rows
        """Return a cursor, which reads some rows at a time; only inside of a transaction."""

    async def copy_records_to_table(
        self, table_name: str, *, records: Sequence[Any], columns: Sequence[str]
    ) -> str:
        """Store rows, the fastest way there is."""

    async def fetchrow(self, query: str, *args: object) -> Any | None:  # noqa: ANN401 - a record
        """Return the first row or None."""

    async def fetchval(self, query: str, *args: object) -> Any:  # noqa: ANN401 - a value of any type
        """Return the first column of the first row, or None."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Begin a transaction; commit at its end, roll back on an error."""

    def is_closed(self) -> bool:
        """Tell whether the connection has ended."""

    def is_in_transaction(self) -> bool:
        """Tell whether a transaction has begun."""


class ReadCommitted(asyncpg.Connection):  # type: ignore[misc] # asyncpg has no types
    """A connection whose transactions see what was committed while they waited for a lock.

    That is PostgreSQL's own default, but a database or a role can have another one, and then whoever
    waited for the policy's head would get an error instead of the newest number.
    """

    __slots__ = ()

    def transaction(
        self,
        *,
        isolation: str = "read_committed",
        **options: Any,  # noqa: ANN401 - asyncpg's own
    ) -> AbstractAsyncContextManager[Any]:
        """Return a transaction that begins on entering."""
        begun: AbstractAsyncContextManager[Any] = super().transaction(isolation=isolation, **options)
        return begun

    def _get_unique_id(self, prefix: str) -> str:
        """Name a prepared statement as no other process does.

        The driver counts from 1 in each process. Behind a pooler in transaction mode that nobody told us of,
        a statement of another process would run instead; this way PostgreSQL refuses it.
        """
        return f"__asyncpg_{prefix}_{uuid4().hex}__"


def rows_of(tag: str) -> int:
    """Return how many rows a statement changed, as its command tag says."""
    return int(tag.rpartition(" ")[2])
