"""The first and the last entry of a backup: what it is, and the sums that prove it whole. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar

import msgspec
from msgspec import Struct

from santaserver.backup.bad_backup import BadBackup, damaged
from santaserver.migrations.files import Migration
from santaserver.secret_keys import SecretKeys

FORMAT = 1
"""Grows when a program that knows this one could not read the file."""
PURPOSE = "backup fingerprint"


class Revision(Struct, frozen=True):
    """A migration that the database had."""

    version: int
    name: str
    checksum: str


class TableHead(Struct, frozen=True):
    """A table and the columns of its rows, in their order."""

    name: str
    columns: Sequence[str]


class Manifest(Struct, frozen=True):
    """What the file says of itself before the rows; a newer version may say more."""

    format: int
    release: str
    made_at: datetime
    schema: Sequence[Revision]
    secret_key: str
    """Fingerprint of SECRET_KEY; the key itself cannot be found from it."""
    events: bool
    tables: Sequence[TableHead]
    """In the order of their rows: whatever one refers to comes before it."""
    sequences: Mapping[str, int]
    """Name → the last number that was given out."""
    days: Mapping[str, Sequence[date]]
    """Table of events → the days that had a partition."""

    @property
    def newest(self) -> Revision:
        """The schema's last migration."""
        return self.schema[-1]


class Sums(Struct, frozen=True, forbid_unknown_fields=True):
    """A table's content: rows, bytes of text, SHA-256 of that text."""

    rows: int
    bytes: int
    sha256: str


class End(Struct, frozen=True, forbid_unknown_fields=True):
    """The last entry: a file without it is not whole."""

    tables: Mapping[str, Sums]
    sha256: str
    """Of all bytes of the file before this entry."""


class Running:
    """Sums up one table's text. Rows end with a line feed, which occurs nowhere else in COPY's text form."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.rows = self.bytes = 0
        self._hash = hashlib.sha256()
        self._last = b"\n"

    def add(self, text: bytes) -> None:
        """Count a piece, which may end anywhere in a row."""
        self.rows += text.count(b"\n")
        self.bytes += len(text)
        self._hash.update(text)
        self._last = text[-1:] or self._last

    def sums(self) -> Sums:
        """Return them; raise `BadBackup` when the last row is not whole."""
        if self._last != b"\n":
            raise damaged("a row has no end")
        return Sums(self.rows, self.bytes, self._hash.hexdigest())


def fingerprint(secret: bytes) -> str:
    """Return what a backup says of a key that was derived for it."""
    return hashlib.sha256(secret).hexdigest()[:32]


def own_fingerprint(keys: SecretKeys) -> str:
    """Return the fingerprint of the present SECRET_KEY."""
    return fingerprint(keys.current(PURPOSE))


def same_key(manifest: Manifest, keys: SecretKeys) -> bool:
    """Tell whether a backup was made with SECRET_KEY, or with one that SECRET_KEY_PREVIOUS names."""
    return manifest.secret_key in {fingerprint(key) for key in keys.accepted(PURPOSE)}


ReadT = TypeVar("ReadT", Manifest, End)


def read(kind: type[ReadT], text: bytes, what: str) -> ReadT:
    """Read an entry; raise `BadBackup`."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, ValueError):
        raise damaged(f"its {what} cannot be read") from None


def read_manifest(text: bytes) -> Manifest:
    """Read the first entry; raise `BadBackup`, also for the format of a newer version."""

    class Head(Struct):
        format: int
        release: str

    try:
        head = msgspec.json.decode(text, type=Head)
    except msgspec.DecodeError:
        raise damaged("its manifest cannot be read") from None
    if head.format > FORMAT:
        raise BadBackup(
            f"SantaServer {head.release} wrote this file, in a format ({head.format}) that this version does "
            f"not know: use {head.release} or a newer one"
        )
    manifest = read(Manifest, text, "manifest")
    if not manifest.schema:
        raise damaged("it names no schema")
    return manifest


def check_schema(manifest: Manifest, known: Sequence[Migration], release: str) -> None:
    """Raise `BadBackup` when this version's migrations do not lead to the file's schema."""
    newest = manifest.newest
    if newest.version > known[-1].version:
        raise BadBackup(
            f"the file is newer than this version: SantaServer {manifest.release} wrote it with schema "
            f"{newest.name}, and {release} knows none after {known[-1].name}. Restore it with "
            f"{manifest.release} or a newer version"
        )
    for there, own in zip(manifest.schema, known, strict=False):
        if (there.version, there.checksum) != (own.version, own.checksum):
            raise BadBackup(
                f"the file has the schema {there.name} of another build than this one, whose {own.name} "
                f"differs: restore it with the build that wrote it (SantaServer {manifest.release})"
            )
