"""Essentials in the database."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from santaserver.db import Connection, rows_of
from santaserver.policy.targets import RuleType


class EssentialRow(Struct, frozen=True):
    """One of the organization's essentials."""

    id: int
    name: str
    use: str
    rule_type: RuleType
    identifiers: list[str]
    paths: list[str]
    created_at: datetime
    created_by: str | None
    changed_at: datetime


SELECT = """
select e.id, e.name, e.use, e.rule_type, e.identifiers, e.paths, e.created_at, u.username, e.changed_at
from essential e left join app_user u on u.id = e.created_by
"""


async def list_essentials(connection: Connection) -> list[EssentialRow]:
    """Return all, by name."""
    return [EssentialRow(*row) for row in await connection.fetch(f"{SELECT} order by lower(e.name), e.id")]


async def find_essential(connection: Connection, number: int, *, lock: bool = False) -> EssentialRow | None:
    """Return one; nobody else changes a locked one until the end of the transaction."""
    locked = "for update of e" if lock else ""
    row = await connection.fetchrow(f"{SELECT} where e.id = $1 {locked}", number)
    return EssentialRow(*row) if row else None


async def name_taken(connection: Connection, name: str, but: int | None) -> bool:
    """Tell whether another one has this name."""
    taken: bool = await connection.fetchval(
        "select exists (select from essential where lower(name) = lower($1) and id is distinct from $2)",
        name,
        but,
    )
    return taken


async def count(connection: Connection) -> int:
    """Return how many there are; nobody else adds one until the end of the transaction."""
    await connection.execute("lock table essential in share row exclusive mode")
    number: int = await connection.fetchval("select count(*) from essential")
    return number


async def add_essential(
    connection: Connection, content: Sequence[object], user: int | None, now: datetime
) -> int:
    """Store one with this name, use, rule type, identifiers and paths; return its id."""
    number: int = await connection.fetchval(
        """insert into essential
             (name, use, rule_type, identifiers, paths, created_at, created_by, changed_at)
           values ($1, $2, $3, $4, $5, $6, $7, $6) returning id""",
        *content,
        now,
        user,
    )
    return number


async def change_essential(
    connection: Connection, number: int, content: Sequence[object], now: datetime
) -> None:
    """Replace name, use, rule type, identifiers and paths."""
    await connection.execute(
        """update essential set name = $2, use = $3, rule_type = $4, identifiers = $5, paths = $6,
             changed_at = $7 where id = $1""",
        number,
        *content,
        now,
    )


async def remove_essential(connection: Connection, number: int) -> bool:
    """Delete one; tell whether it was there."""
    return rows_of(await connection.execute("delete from essential where id = $1", number)) > 0
