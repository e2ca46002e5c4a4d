"""Reads a backup in one pass and proves each part of it. Pure but for the file.

What was read is only certain at the end: whoever stores it has to be able to take it back until then.
"""

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from santaserver.backup.archive import Entry, entries
from santaserver.backup.bad_backup import TRUNCATED, BadBackup, damaged
from santaserver.backup.manifest import End, Manifest, Running, Sums, read, read_manifest

MANIFEST, END = "manifest.json", "end.json"
PART = 4 * 2**20
"""Bytes of a table's text in one entry: the least that can be read or written at a time."""
NAME = re.compile(r"tables/(\d{3})\.([a-z0-9_]+)/(\d{6,})\.gz")


def part_name(table: int, name: str, part: int) -> str:
    """Return the name of an entry with a part of a table's rows; both numbers are from 0 on."""
    return f"tables/{table:03}.{name}/{part:06}.gz"


class BackupReader:
    """A backup that is being read."""

    def __init__(self, source: BinaryIO) -> None:
        """Read the manifest; raise `BadBackup`."""
        self._entries = entries(source)
        first = next(self._entries, None)
        if first is None:
            raise BadBackup("the file is an empty archive, no backup of SantaServer")
        if first.name != MANIFEST:
            raise BadBackup(f"the file is no backup of SantaServer: it begins with {first.name}")
        self.manifest: Manifest = read_manifest(first.content)
        self._running = {table.name: Running() for table in self.manifest.tables}
        self._at = (0, 0)
        """Which table and part come next at the earliest."""

    @property
    def rows(self) -> int:
        """How many were read."""
        return sum(table.rows for table in self._running.values())

    @property
    def size(self) -> int:
        """How many bytes of text were read."""
        return sum(table.bytes for table in self._running.values())

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Yield (table, text) to the end, and check the sums there; raise `BadBackup`."""
        for entry in self._entries:
            if entry.name == END:
                self._finish(entry)
                return
            yield self._part(entry)
        raise BadBackup(TRUNCATED)

    def _part(self, entry: Entry) -> tuple[str, bytes]:
        matched = NAME.fullmatch(entry.name)
        if matched is None:
            raise damaged(f"{entry.name} is no entry of a backup")
        table, name, part = int(matched[1]), matched[2], int(matched[3])
        tables = self.manifest.tables
        known = table < len(tables) and tables[table].name == name
        due, following = self._at
        in_order = (table > due and part == 0) or (table == due and part == following)
        if not known or not in_order:
            raise damaged(f"{entry.name} is in the wrong place")
        text = _unpacked(entry)
        self._running[name].add(text)
        self._at = (table, part + 1)
        return name, text

    def _finish(self, entry: Entry) -> None:
        end = read(End, entry.content, "last entry")
        found = {name: running.sums() for name, running in self._running.items()}
        for name, sums in found.items():
            said = end.tables.get(name)
            if said != sums:
                raise damaged(f"{name} has {sums.rows} rows; there should be {_expected(said, sums)}")
        if set(end.tables) != set(found) or end.sha256 != entry.before:
            raise damaged("its checksum is another one")
        for more in self._entries:
            raise damaged(f"{more.name} follows its end")


def _expected(said: Sums | None, found: Sums) -> str:
    if said is None:
        return "none"
    return f"{said.rows}" if said.rows != found.rows else "other ones"


def _unpacked(entry: Entry) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(entry.content, PART + 1)
    except zlib.error:
        raise damaged(f"{entry.name} cannot be decompressed") from None
    if not unpacker.eof or unpacker.unused_data or not text or len(text) > PART:
        raise damaged(f"{entry.name} is not as long as it should be")
    return text
