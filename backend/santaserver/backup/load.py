"""Stores a backup in an empty database, in one transaction: until its end, nothing has happened."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from santaserver import __version__, audit
from santaserver.audit import SYSTEM, Target
from santaserver.audit_log.repository import exported, read_tree
from santaserver.backup import catalog
from santaserver.backup.bad_backup import BadBackup, damaged
from santaserver.backup.empty import clear, unseed
from santaserver.backup.manifest import Manifest, check_schema
from santaserver.backup.reader import BackupReader
from santaserver.backup.settle import move_sequences, settle
from santaserver.backup.tables import EVENTS, KEPT
from santaserver.merkle import Tree
from santaserver.migrations.files import Migration, MigrationError, load
from santaserver.migrations.privileges import PrivilegeError, grant
from santaserver.migrations.runner import LOCK_KEY
from santaserver.migrations.schema_version import applied_versions, store

PORTION = 1000

Progress = Callable[[str, int, int], None]
"""Is told the table that is being stored, rows and bytes of text so far."""


async def restore(
    connection: Any,  # noqa: ANN401 - asyncpg has no types
    reader: BackupReader,
    server: str | None,
    now: datetime,
    progress: Progress,
) -> int:
    """Store a backup and what follows from it; return how many Macs will be sent all rules.

    `server` is the role that gets what the server needs, None where one role does everything. Raises
    `BadBackup`, `MigrationError`, and asyncpg's errors; then the database is as it was.
    """
    known, manifest = load(), reader.manifest
    check_manifest(manifest, known)
    await catalog.prepare(connection)
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)
        await applied_versions(connection)  # one of a development version cannot be used
        await clear(connection, known)
        there = len(manifest.schema)
        await _migrate(connection, known[:there])
        await unseed(connection, [table.name for table in manifest.tables])
        await _make_days(connection, manifest.days)
        await _store(connection, reader, progress)
        await verify_audit_log(connection)
        await _migrate(connection, known[there:], at=now)
        await move_sequences(connection, manifest.sequences, now)
        if server is not None:
            await _grant(connection, server)
        target: Target = ("schema", f"{known[-1].version:04d}")
        return await settle(connection, now, target, _facts(manifest, reader))


def check_manifest(manifest: Manifest, known: list[Migration]) -> None:
    """Raise `BadBackup` for a file of another version's schema, or with tables that none has."""
    check_schema(manifest, known, __version__)
    for table in manifest.tables:
        if table.name not in KEPT and table.name not in EVENTS:
            raise damaged(f"no version of SantaServer has a table {table.name!r}")


def _facts(manifest: Manifest, reader: BackupReader) -> Mapping[str, Any]:
    return {
        "made_at": audit.stamp(manifest.made_at),
        "release": manifest.release,
        "schema": manifest.newest.name,
        "rows": reader.rows,
        "events": manifest.events,
    }


async def _migrate(connection: Any, migrations: list[Migration], at: datetime | None = None) -> None:  # noqa: ANN401
    for one in migrations:
        await connection.execute(one.sql)
        await store(connection, one)
        if at is not None:
            target: Target = ("schema", f"{one.version:04d}")
            await audit.store(connection, [audit.entry(SYSTEM, at, "schema_migrated", target)])


async def _make_days(connection: Any, days: Mapping[str, Sequence[date]]) -> None:  # noqa: ANN401
    for table, listed in days.items():
        for day in listed:
            await connection.execute("select event_partition_create($1, $2)", table, day)


async def _store(connection: Any, reader: BackupReader, progress: Progress) -> None:  # noqa: ANN401
    """Read the file to its end; the sums are checked there."""
    heads = {table.name: table for table in reader.manifest.tables}
    parts = _Parts(reader, progress)
    await parts.advance()
    while (name := parts.table) is not None:
        columns = list(heads[name].columns)
        await connection.copy_to_table(name, columns=columns, source=parts.of(name), format="text")


class _Parts:
    """The parts of a file, one table after the other; the file is read in a thread."""

    def __init__(self, reader: BackupReader, progress: Progress) -> None:
        self._reader = reader
        self._parts = reader.parts()
        self._progress = progress
        self._next: tuple[str, bytes] | None = None

    @property
    def table(self) -> str | None:
        """Whose rows come next; None at the end of the file."""
        return None if self._next is None else self._next[0]

    async def of(self, table: str) -> AsyncIterator[bytes]:
        """Yield the text of the table whose rows come next."""
        while self._next is not None and self._next[0] == table:
            yield self._next[1]
            await self.advance()
            self._progress(table, self._reader.rows, self._reader.size)

    async def advance(self) -> None:
        """Read the next part."""
        self._next = await asyncio.to_thread(next, self._parts, None)


async def verify_audit_log(connection: Any) -> None:  # noqa: ANN401
    """Raise `BadBackup` unless each entry gives the root that was stored with it, up to the log's head."""
    head, tree = await read_tree(connection), Tree()
    cursor = await exported(connection, head.size)
    while rows := await cursor.fetch(PORTION):
        for seq, entry, root, _, _ in rows:
            tree.append(entry.encode())
            if seq + 1 != tree.size or tree.root() != root:
                raise BadBackup(f"its audit log does not verify: entry {seq} is not what was logged")
    if (tree.size, tree.root()) != (head.size, head.root()):
        raise BadBackup(f"its audit log does not verify: {head.size - tree.size} entries are missing")


async def _grant(connection: Any, role: str) -> None:  # noqa: ANN401
    try:
        await grant(connection, role)
    except PrivilegeError as error:
        raise MigrationError(str(error)) from error
