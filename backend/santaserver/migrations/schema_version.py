"""Which migrations a database has."""

from santaserver.migrations.files import Applied, Migration, MigrationError
from santaserver.postgres.connection import Connection

CREATE = """
create table if not exists schema_version (
  version integer primary key check (version > 0),
  name text not null,
  checksum text not null,
  needs integer not null,
  applied_at timestamptz not null default now()
)
"""

BEFORE_FILES = (
    "the database was made by a development version of SantaServer (schema {}) and cannot be migrated; "
    "delete it and start with an empty one: `cargo xtask dev --fresh` for the development database"
)


async def current_version(connection: Connection) -> int | None:
    """Return the newest migration that a database has; None before the first one."""
    if await connection.fetchval("select to_regclass('schema_version')") is None:
        return None
    version: int | None = await connection.fetchval("select max(version) from schema_version")
    return version


async def applied_versions(connection: Connection) -> dict[int, Applied]:
    """Return the migrations that a database has; raise `MigrationError` for one that had others."""
    if await connection.fetchval("select to_regclass('alembic_version')") is not None:
        revision = await connection.fetchval("select version_num from alembic_version")
        raise MigrationError(BEFORE_FILES.format(revision))
    if await connection.fetchval("select to_regclass('schema_version')") is None:
        return {}
    rows = await connection.fetch("select version, name, checksum, needs from schema_version")
    return {row["version"]: Applied(row["name"], row["checksum"], row["needs"]) for row in rows}


async def store(connection: Connection, migration: Migration) -> None:
    """Write down that a migration was applied."""
    await connection.execute(CREATE)
    await connection.execute(
        "insert into schema_version (version, name, checksum, needs) values ($1, $2, $3, $4)",
        migration.version,
        migration.name,
        migration.checksum,
        migration.needs,
    )
