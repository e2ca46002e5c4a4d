"""Takes and restores backups in this process, compares databases, and makes files that are wrong."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from santaserver.backup import command
from santaserver.backup.archive import Entry, Writer, entries
from santaserver.backup.dump import encode
from santaserver.backup.manifest import End
from santaserver.backup.reader import END, BackupReader
from santaserver.settings import Settings, load
from tests.support.postgres import Cluster, as_server, fetch, value

ROWS = Path(__file__).parent / "rows.sql"
KEY = "a-key-for-backups-of-the-tests-0123456789"
CHECKSUM = """select count(*) || ' ' || coalesce(md5(string_agg(t::text, ' ' order by t::text)), '')
from {} t"""


class Databases:
    """Databases that are dropped at the end."""

    def __init__(self, cluster: Cluster) -> None:
        """Make them in a cluster."""
        self._cluster = cluster
        self._names: list[str] = []

    def empty(self, template: str = "template1") -> str:
        """Return the address of a new one."""
        self._names.append(self._cluster.create(template))
        return self._cluster.dsn(self._names[-1])

    def drop(self) -> None:
        """Remove them all."""
        for name in self._names:
            self._cluster.drop(name)


def settings_of(dsn: str, **more: str) -> Settings:
    """Return the settings of a server with two roles."""
    roles = {"DATABASE_URL": as_server(dsn), "DATABASE_OWNER_URL": dsn}
    return load({**roles, "SECRET_KEY": KEY, "PUBLIC_URL": "http://x", **more})


def take(dsn: str, *, events: bool = False) -> bytes:
    """Back a database up, as the server's role."""
    out = io.BytesIO()
    assert command.backup(settings_of(dsn), out, events=events) == 0
    return out.getvalue()


def put(
    dsn: str, content: bytes, folder: Path, settings: Settings | None = None, *, other_key: bool = False
) -> int:
    """Restore a backup and return the exit code."""
    file = folder / "backup"
    file.write_bytes(content)
    return command.restore_file(settings or settings_of(dsn), str(file), other_key=other_key)


def read(content: bytes) -> BackupReader:
    """Read a backup to its end."""
    reader = BackupReader(io.BytesIO(content))
    for _ in reader.parts():
        pass
    return reader


def repacked(found: Sequence[Entry], end: End) -> bytes:
    """Write these entries and an end that fits to them."""
    out = io.BytesIO()
    writer = Writer(out, datetime(2026, 11, 30, tzinfo=UTC))
    for entry in found:
        writer.entry(entry.name, entry.content)
    writer.entry(END, encode(End(end.tables, writer.digest())))
    writer.finish()
    return out.getvalue()


def listed(content: bytes) -> list[Entry]:
    """Return the entries of a backup."""
    return list(entries(io.BytesIO(content)))


def tables_of(dsn: str) -> set[str]:
    """Return the names of all tables."""
    rows = fetch(
        dsn,
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace "
        "and relkind in ('r', 'p') and not relispartition",
    )
    return {row["relname"] for row in rows}


def checksums(dsn: str, tables: Iterable[str]) -> Mapping[str, str]:
    """Return the number of rows and the sum of each table."""
    return {name: value(dsn, CHECKSUM.format(name)) for name in tables}


def said(capfd: pytest.CaptureFixture[str]) -> str:
    """Return what was said to the person at the terminal."""
    return capfd.readouterr().err
