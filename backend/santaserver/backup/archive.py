"""The file around the content: a tar archive (ustar), written and read in one pass.

A reader takes nothing for granted: every byte is part of some checksum, or has to be zero.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO, NamedTuple

from santaserver.backup.bad_backup import TRUNCATED, BadBackup, damaged

BLOCK = 512
LARGEST = 16 * 2**20
"""Bytes of an entry. Those that this program writes are smaller, so that they fit into memory."""
READ = 2**20
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz"}


class Writer:
    """Writes entries, and sums up all that was written."""

    def __init__(self, out: BinaryIO, made_at: datetime) -> None:
        """Write to `out`; every entry has the same time."""
        self._out = out
        self._at = int(made_at.timestamp())
        self._hash = hashlib.sha256()
        self.written = 0
        """Bytes."""

    def entry(self, name: str, content: bytes) -> None:
        """Write one."""
        header = tarfile.TarInfo(name)
        header.size, header.mtime, header.mode = len(content), self._at, 0o600
        self._write(header.tobuf(tarfile.USTAR_FORMAT))
        self._write(content)
        self._write(bytes(-len(content) % BLOCK))

    def digest(self) -> str:
        """Return the SHA-256 of what was written so far."""
        return self._hash.hexdigest()

    def finish(self) -> None:
        """Write the end of the archive, down to the file itself."""
        self._write(bytes(2 * BLOCK))
        self._out.flush()

    def _write(self, content: bytes) -> None:
        self._out.write(content)
        self._hash.update(content)
        self.written += len(content)


class Entry(NamedTuple):
    """One entry, and the SHA-256 of all that stands before it."""

    name: str
    content: bytes
    before: str


def entries(source: BinaryIO) -> Iterator[Entry]:
    """Yield the entries of an archive to its end; raise `BadBackup`."""
    digest = hashlib.sha256()
    first = True
    while True:
        before = digest.hexdigest()
        header = _exactly(source, BLOCK)
        if not any(header):
            break
        name, size = _header(header, first=first)
        first = False
        content = _exactly(source, size)
        padding = _exactly(source, -size % BLOCK)
        if any(padding):
            raise damaged(f"something follows the content of {name}")
        for part in (header, content, padding):
            digest.update(part)
        yield Entry(name, content, before)
    if any(_exactly(source, BLOCK)):
        raise damaged("its end is not that of an archive")
    while rest := source.read(READ):
        if any(rest):
            raise damaged("something follows its end")


def _header(header: bytes, *, first: bool) -> tuple[str, int]:
    """Return name and size of an entry."""
    try:
        read = tarfile.TarInfo.frombuf(header, "ascii", "strict")
    except (tarfile.HeaderError, ValueError):
        if first:
            raise BadBackup(_no_archive(header)) from None
        raise damaged("the head of an entry cannot be read") from None
    if not read.isreg() or not 0 <= read.size <= LARGEST:
        raise damaged(f"{read.name} is no entry of a backup")
    return read.name, read.size


def _no_archive(head: bytes) -> str:
    for magic, program in COMPRESSIONS.items():
        if head.startswith(magic):
            return f"the file is compressed: {program} -dc FILE | santaserver restore -"
    return "the file is no backup of SantaServer, or its beginning is damaged"


def _exactly(source: BinaryIO, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = source.read(size)
        if not part:
            raise BadBackup(TRUNCATED)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
