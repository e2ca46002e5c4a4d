"""Logs that tests make, export and spoil."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from santaserver.audit import Actor, AuditEntry, entry, store
from santaserver.audit_log.export_lines import lines
from santaserver.audit_log.notes import Checkpoint
from santaserver.db import open_connection
from santaserver.merkle import Tree
from tests.support.postgres import execute

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
SPOIL = "set session_replication_role = replica; "
"""As whoever owns the database may: without the triggers that prevent it."""


def made(number: int, action: str = "rule_created", **values: object) -> AuditEntry:
    """Return the number-th entry of a test."""
    return entry(Actor("ann", 7), AT, action, ("rule", str(number)), None, {"n": number, **values})


def append(dsn: str, entries: Sequence[AuditEntry]) -> None:
    """Append entries, each in a transaction of its own."""

    async def run() -> None:
        connection = await open_connection(dsn)
        try:
            for one in entries:
                await store(connection, [one])
        finally:
            await connection.close()

    asyncio.run(run())


def export(dsn: str) -> list[bytes]:
    """Return the lines of an export."""

    async def run() -> list[bytes]:
        connection = await open_connection(dsn)
        try:
            async with connection.transaction():
                return b"".join([part async for part in lines(connection)]).splitlines()
        finally:
            await connection.close()

    return asyncio.run(run())


def spoil(dsn: str, statements: str) -> None:
    """Change the log behind the server's back."""
    execute(dsn, SPOIL + statements)


def checkpoint_of(texts: Sequence[str]) -> Checkpoint:
    """Return the checkpoint of a log with these entries, computed without the database."""
    tree = Tree()
    for text in texts:
        tree.append(text.encode())
    return Checkpoint("test", tree.size, tree.root())
