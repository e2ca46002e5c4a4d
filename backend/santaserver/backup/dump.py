"""Writes a backup: every table as COPY's text, in one snapshot, in parts that fit into memory.

Text and not PostgreSQL's binary form: it is the same for every version and processor, its rows can be counted
without knowing their types, and a table of a backup can be read with zcat.
"""

import asyncio
import gzip
from collections.abc import Callable
from datetime import datetime
from typing import Any, BinaryIO

import msgspec

from santaserver import __version__, audit
from santaserver.audit import SYSTEM
from santaserver.backup import catalog
from santaserver.backup.archive import Writer
from santaserver.backup.manifest import FORMAT, End, Manifest, Revision, Running, TableHead
from santaserver.backup.reader import END, MANIFEST, PART, part_name
from santaserver.backup.tables import EVENTS, SCHEMA, unknown, wanted
from santaserver.migrations.files import MigrationError, load, missing
from santaserver.migrations.schema_version import applied_versions

LEVEL = 3
"""Of compression: most of what there is to gain, at more than 60 MB a second."""

Progress = Callable[[str, int, int], None]
"""Is told the table that is being written, rows and bytes so far."""

encode = msgspec.json.Encoder(order="deterministic").encode


async def dump(
    connection: Any,  # noqa: ANN401 - asyncpg has no types
    out: BinaryIO,
    fingerprint: str,
    now: datetime,
    progress: Progress,
    *,
    events: bool,
) -> tuple[Manifest, End]:
    """Write the database of a connection; raise `MigrationError` when its schema is not this version's."""
    await catalog.prepare(connection)
    present = await catalog.tables(connection)
    if SCHEMA not in present:
        raise MigrationError("the database was never migrated: there is nothing to back up")
    chosen = wanted(present, events=events)
    if not await connection.fetchval("select pg_is_in_recovery()"):  # a standby's log cannot be added to
        made = audit.entry(SYSTEM, now, "backup_made", ("schema", "*"), after={"events": events})
        await audit.store(connection, [made])
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        # Before the snapshot, as pg_dump does: no migration rewrites a table until its rows are read.
        await connection.execute(f"lock table {', '.join(sorted(chosen | {SCHEMA}))} in access share mode")
        manifest = await _manifest(connection, chosen, fingerprint, now, events=events)
        dumping = _Dump(connection, Writer(out, now), progress)
        return manifest, await dumping.run(manifest)


async def strangers(connection: Any) -> list[str]:  # noqa: ANN401
    """Return the tables that a backup leaves out because they are not this program's."""
    return unknown(await catalog.tables(connection))


async def _manifest(
    connection: Any,  # noqa: ANN401
    chosen: set[str],
    fingerprint: str,
    now: datetime,
    *,
    events: bool,
) -> Manifest:
    known, applied = load(), await applied_versions(connection)
    if missing(known, applied):
        raise MigrationError("the schema is older than this program: start the server, which migrates it")
    if max(applied) > known[-1].version:
        raise MigrationError(
            f"a newer version of SantaServer migrated the database to {applied[max(applied)].name}: "
            "make the backup with that version"
        )
    columns = await catalog.columns(connection, chosen)
    order = await catalog.in_order(connection, chosen)
    sequences = await catalog.sequences(connection)
    return Manifest(
        format=FORMAT,
        release=__version__,
        made_at=now,
        schema=[Revision(one.version, one.name, one.checksum) for one in known],
        secret_key=fingerprint,
        events=events,
        tables=[TableHead(name, columns[name]) for name in order],
        sequences={name: last for name, (_, last) in sorted(sequences.items())},
        days=await catalog.days(connection, chosen & set(EVENTS)),
    )


class _Dump:
    """A backup that is being written."""

    def __init__(self, connection: Any, writer: Writer, progress: Progress) -> None:  # noqa: ANN401
        self._connection = connection
        self._writer = writer
        self._progress = progress
        self._rows = 0

    async def run(self, manifest: Manifest) -> End:
        writer = self._writer
        await asyncio.to_thread(writer.entry, MANIFEST, encode(manifest))
        sums = {}
        for number, table in enumerate(manifest.tables):
            sums[table.name] = (await self._table(number, table)).sums()
            self._rows += sums[table.name].rows
        end = End(sums, writer.digest())
        await asyncio.to_thread(writer.entry, END, encode(end))
        await asyncio.to_thread(writer.finish)
        return end

    async def _table(self, number: int, table: TableHead) -> Running:
        running, pending, size, part = Running(), list[bytes](), 0, 0

        async def flush() -> None:
            nonlocal size, part
            text = b"".join(pending)
            pending.clear()
            for start in range(0, len(text), PART):
                piece = text[start : start + PART]
                await asyncio.to_thread(self._part, part_name(number, table.name, part), piece, running)
                part += 1
            size = 0
            self._progress(table.name, self._rows + running.rows, self._writer.written)

        async def take(text: bytes) -> None:
            nonlocal size
            pending.append(text)
            size += len(text)
            if size >= PART:
                await flush()

        listed = ", ".join(f'"{column}"' for column in table.columns)
        query = f"select {listed} from {table.name}"  # noqa: S608 - names of this schema
        await self._connection.copy_from_query(query, output=take, format="text")
        if pending:
            await flush()
        return running

    def _part(self, name: str, text: bytes, running: Running) -> None:
        running.add(text)
        self._writer.entry(name, gzip.compress(text, LEVEL, mtime=0))
