"""Finds out whether a database is empty, and removes the tables that an empty one has from its migrations."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from santaserver.backup import catalog
from santaserver.backup.bad_backup import BadBackup
from santaserver.backup.tables import EVENTS, KEPT, LEFT_OUT
from santaserver.migrations.files import Migration

OBJECT = re.compile(r"^create (?:or replace )?(table|view|function) (\w+)(?! partition of)\b", re.MULTILINE)
"""A partition goes with its table."""
LISTED = 5

# What migrations and a server without users write by themselves.
SEEDED: Mapping[str, str] = {
    "audit_checkpoint": "select false",
    "audit_detail": "select false",
    "audit_head": "select false",
    "audit_leaf": "select exists (select from audit_leaf"
    " where body ->> 'action' not in ('schema_migrated', 'backup_made'))",
    "blocked_contact": "select exists (select from blocked_contact where text <> '' or url <> '')",
    "layer": "select exists (select from layer where id <> 1)",
    "policy_head": "select exists (select from policy_head where seq > 0)",
}
"""Table → whether it has more than that."""


async def not_empty(connection: Any) -> list[str]:  # noqa: ANN401 - asyncpg has no types
    """Return the tables in which somebody has stored something."""
    found = []
    for name in sorted(await catalog.tables(connection) & (KEPT | set(EVENTS))):
        query = SEEDED.get(name, f"select exists (select from {name})")  # noqa: S608 - names of this program
        if await connection.fetchval(query):
            found.append(name)
    return found


async def clear(connection: Any, known: Sequence[Migration]) -> None:  # noqa: ANN401
    """Remove this program's tables, views and functions from an empty database, inside of a transaction.

    Raises `BadBackup` for one that is not empty: nothing is ever deleted that someone could want.
    """
    used = await not_empty(connection)
    if used:
        more = f" and {len(used) - LISTED} more" if len(used) > LISTED else ""
        raise BadBackup(
            f"the database is not empty: there are rows in {', '.join(used[:LISTED])}{more}. Restore into "
            "a new one (create database … owner …), and keep this one until you have seen that "
            "the new one is right"
        )
    made = {(kind, name) for one in known for kind, name in OBJECT.findall(one.sql)}
    tables = {name for kind, name in made if kind == "table"} | KEPT | set(EVENTS) | set(LEFT_OUT)
    views = sorted(name for kind, name in made if kind == "view")
    functions = sorted(name for kind, name in made if kind == "function")
    present = sorted(tables & await catalog.tables(connection))
    for name in views:
        await connection.execute(f"drop view if exists {name}")
    if present:
        await connection.execute(f"drop table {', '.join(present)}")
    for name in functions:
        await connection.execute(f"drop function if exists {name}")


async def unseed(connection: Any, tables: Sequence[str]) -> None:  # noqa: ANN401
    """Delete what migrations stored in these tables: the backup has it too."""
    for name in tables:
        if await connection.fetchval(f"select exists (select from {name})"):  # noqa: S608
            await connection.execute(f"delete from {name}")  # noqa: S608
