"""Who uses the tables that a migration could not lock, for the message that says so."""

import re
from collections.abc import Sequence

import asyncpg
from msgspec import Struct

from santaserver.migrations.files import Migration

NAME = re.compile(r"[a-z_][a-z0-9_]*")
QUERY = """
select a.pid, a.usename::text as role, a.application_name as application, a.state,
       extract(epoch from clock_timestamp() - a.xact_start)::bigint as transaction_seconds,
       extract(epoch from clock_timestamp() - a.query_start)::bigint as statement_seconds,
       array_agg(distinct c.relname::text order by c.relname::text) as tables
  from pg_locks l
  join pg_class c on c.oid = l.relation
  join pg_stat_activity a on a.pid = l.pid
 where l.locktype = 'relation' and l.granted and c.relname = any($1) and l.pid <> pg_backend_pid()
   and l.database = (select oid from pg_database where datname = current_database())
 group by 1, 2, 3, 4, 5, 6
 order by 5 desc nulls last, 1
 limit 3
"""
"""Locks are held until the end of a transaction, so what was in the way for long is found right after."""


class LockHolder(Struct, frozen=True):
    """A transaction of another connection. Those of other roles have no ages without `pg_read_all_stats`."""

    pid: int
    role: str | None
    application: str
    state: str | None
    transaction_seconds: int | None
    statement_seconds: int | None
    tables: Sequence[str]

    def __str__(self) -> str:
        """Say who it is and for how long it has been there."""
        who = ", ".join(word for word in (self.role, self.application) if word)
        ages = []
        if self.transaction_seconds is not None:
            ages.append(f"its transaction is {self.transaction_seconds} s old")
        if self.statement_seconds is not None:
            ages.append(f"its last statement began {self.statement_seconds} s ago")
        about = "; ".join([self.state or "state unknown", *ages])
        return f"process {self.pid} ({who or 'unknown role'}) uses {', '.join(self.tables)}: {about}"


async def lock_holders(connection: asyncpg.Connection, migration: Migration) -> list[LockHolder]:
    """Return the oldest transactions, at most three, that use a table which the migration names."""
    rows = await connection.fetch(QUERY, sorted(set(NAME.findall(migration.sql.lower()))))
    return [LockHolder(**dict(row)) for row in rows]


def in_the_way(migration: Migration, attempts: int, holders: Sequence[LockHolder]) -> str:
    """Return why the migration gave up and what to do."""
    begun = f"{migration.name} could not lock its tables in {attempts} attempts and changed nothing"
    if not holders:
        return f"{begun}: others use them all the time, in turn; try again at a quieter time"
    who = "; ".join(str(one) for one in holders)
    ends = ", ".join(f"select pg_terminate_backend({one.pid})" for one in holders)
    return f"{begun}. {who}. Wait for their end or end them ({ends}), then start again"
