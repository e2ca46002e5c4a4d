"""Migrations as files, and what a database that had some of them applied still needs. Pure but for `load`."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from santaserver.migrations import VERSIONS

NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
NEEDS = re.compile(r"^-- needs: (\d{4})$", re.MULTILINE)


class MigrationError(Exception):
    """The database cannot be brought to this version's schema; the message says what to do."""


class Migration(Struct, frozen=True):
    """One file."""

    version: int
    name: str
    sql: str
    checksum: str
    needs: int
    """The schema that a program has to know at least to work after this one."""


class Applied(Struct, frozen=True):
    """A migration that a database has."""

    name: str
    checksum: str
    needs: int


def load(folder: Path = VERSIONS) -> list[Migration]:
    """Read the files in their order."""
    found = [_read(path) for path in sorted(folder.glob("*.sql"))]
    if [one.version for one in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"the migrations are not numbered from 0001 without gaps: {_names(found)}")
    return found


def missing(known: Sequence[Migration], applied: Mapping[int, Applied]) -> list[Migration]:
    """Return what has to be applied; raise `MigrationError` for a database that does not fit."""
    newest = known[-1]
    needed = max((one.needs for one in applied.values()), default=0)
    if needed > newest.version:
        last = applied[max(applied)]
        raise MigrationError(
            f"the database was migrated to {last.name} by a newer version of SantaServer, and this one "
            f"({newest.name}) does not work on it: start that version again, or restore the backup "
            "that was made before the upgrade"
        )
    for one in known:
        stored = applied.get(one.version)
        if stored is not None and stored.checksum != one.checksum:
            raise MigrationError(
                f"the database has {stored.name} as it was before the file changed: a migration that was "
                "applied must not change, add a new one. A development database is deleted with "
                "`cargo xtask dev --fresh`"
            )
    lacking = [one for one in known if one.version not in applied]
    if lacking and lacking[0].version < max(applied, default=0):
        raise MigrationError(
            f"the database has {applied[max(applied)].name} but not {lacking[0].name}: it was migrated by "
            "another build; restore a backup that only this build or an older one has migrated"
        )
    return lacking


def _read(path: Path) -> Migration:
    matched = NAME.fullmatch(path.name)
    if matched is None:
        raise MigrationError(f"{path.name} is not named like NNNN_name.sql")
    sql = path.read_text("utf-8")
    needs = NEEDS.search(sql)
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    return Migration(int(matched[1]), path.stem, sql, checksum, int(needs[1]) if needs else 0)


def _names(migrations: Sequence[Migration]) -> str:
    return ", ".join(one.name for one in migrations)
