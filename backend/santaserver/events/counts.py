"""Counts of events by hour and by day: noted by each upload, added up in the background.

A count is one row that every upload of an hour would have to change, so uploads, of all replicas, would wait
for each other until each one's commit is on the disk. Instead each upload adds rows of its own to
`event_count_delta`, in the statement that stores its events, so that none is lost or counts twice. Now and
then a worker moves them into `event_hour` and `program_day`, in one transaction. Whoever reads adds up both.
"""

import asyncio
import logging

import asyncpg

from santaserver.db import Connection, Database
from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.outbox import discard

log = logging.getLogger(__name__)

EVERY = 10.0
RETRY = 30.0
BATCH = 20_000
"""Rows that are moved at a time, so that no statement runs into its time limit."""
LATER = (DatabaseUnavailable, StatementTimeout, asyncpg.UndefinedTableError)
"""Failures that are retried and need no attention."""
LOCK_KEY = 0x636F756E74
"""Advisory lock: a process does not wait while another one does this."""

HOUR = "date_trunc('hour', occurred_at, 'UTC')"
BY_HOUR = """(select hour, decision, events from event_hour
  union all select hour, decision, events from event_count_delta)"""
BY_PROGRAM = """(select program_id, decision, events from program_day
  union all select program_id, decision, events from event_count_delta)"""
"""What is read as a table of counts; a key may be in it more than once."""

MOVE = """
with taken as (
  delete from event_count_delta where ctid = any(array(select ctid from event_count_delta limit $1))
  returning hour, program_id, decision, events),
hours as (
  insert into event_hour as h (hour, decision, events)
  select hour, decision, sum(events) from taken group by 1, 2 order by 1, 2
  on conflict (hour, decision) do update set events = h.events + excluded.events),
days as (
  insert into program_day as d (day, program_id, decision, events)
  select (hour at time zone 'UTC')::date, program_id, decision, sum(events) from taken
  group by 1, 2, 3 order by 1, 2, 3
  on conflict (day, program_id, decision) do update set events = d.events + excluded.events)
select count(*) from taken
"""
"""A row is taken by one statement only: another one that wanted it too finds it gone."""


async def keep_counts(database: Database) -> None:
    """Add up what uploads noted until canceled."""
    while True:
        pause = EVERY
        try:
            await move_all(database)
        except LATER:
            pause = RETRY
        except Exception:
            log.exception("events could not be added to the counts; the next try is in %.0f s", RETRY)
            pause = RETRY
        await asyncio.sleep(pause)


async def move_all(database: Database) -> None:
    """Add up everything, unless another process does."""
    while await move_counts(database) == BATCH:
        pass


async def move_counts(database: Database) -> int:
    """Move some rows into the counts; return how many."""
    async with database.transaction(discard) as (connection, _):
        return await _move(connection)


async def _move(connection: Connection) -> int:
    if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", LOCK_KEY):
        return 0
    moved: int = await connection.fetchval(MOVE, BATCH)
    return moved
