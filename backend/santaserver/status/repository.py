"""What the database says about itself and this server, in one statement."""

from datetime import datetime

from msgspec import Struct

from santaserver.db import Connection


class ServerFigures(Struct, frozen=True):
    """A snapshot; sizes in bytes, durations in seconds."""

    at: datetime
    database_version: str
    database_size: int
    database_connections: int
    """Of all clients of the PostgreSQL server."""
    database_max_connections: int
    oldest_transaction: float
    """How long the longest open transaction of the database has been open; 0 without one."""
    schema: int
    policy_number: int
    next_change_at: datetime | None
    """When the next rule comes into force or expires."""
    audit_size: int
    checkpoint_at: datetime | None
    checkpoint_size: int
    sessions: int
    uncounted_events: int
    """Rows that wait to be added to the counts of events."""


READ = """
select
  current_setting('server_version'),
  pg_database_size(current_database()),
  (select count(*) from pg_stat_activity where backend_type = 'client backend'),
  current_setting('max_connections')::integer,
  (select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)::float8 from pg_stat_activity
   where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()),
  (select max(version) from schema_version),
  head.seq, head.next_change_at,
  (select size from audit_head),
  checkpoint.at, coalesce(checkpoint.size, 0),
  (select count(*) from user_session where expires_at > $1),
  (select count(*) from event_count_delta)
from policy_head head
left join (select at, size from audit_checkpoint order by id desc limit 1) checkpoint on true
"""


async def read_figures(connection: Connection, now: datetime) -> ServerFigures:
    """Read them; the database's part takes some milliseconds."""
    (row,) = await connection.fetch(READ, now)
    return ServerFigures(now, *row)


class Oldest(Struct, frozen=True):
    """The time of the oldest row of each kind; None without rows."""

    events: datetime | None
    file_accesses: datetime | None
    agent_audits: datetime | None
    event_counts: datetime | None


OLDEST = """
select (select min(occurred_at) from event), (select min(occurred_at) from file_access_event),
  (select min(occurred_at) from agent_audit_event), (select min(hour) from event_hour)
"""
"""Each by an index."""


async def read_oldest(connection: Connection) -> Oldest:
    """Find the oldest rows."""
    (row,) = await connection.fetch(OLDEST)
    return Oldest(*row)
