"""Accounts and failed logins in the database, as a login needs them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from santaserver.db import Connection, rows_of
from santaserver.users.bindings import BINDINGS
from santaserver.users.throttle import (
    FIRST_DELAY,
    FORGET_AFTER,
    LONGEST_DELAY,
    MOST_STEPS,
    Counter,
    waiting_time,
)

COUNT = """
insert into login_failure as f (key, failures, last_failure_at)
select key, 1, $3 from unnest($1::text[], $2::integer[]) as k (key, free) order by key
on conflict (key) do update set
  failures = case when f.last_failure_at < $3 - $4::interval then 1 else f.failures + 1 end,
  last_failure_at = $3
where f.failures < ($2::integer[])[array_position($1::text[], f.key)]
  or f.last_failure_at < $3 - $4::interval
  or f.last_failure_at <= $3 - least($5::interval * power(2,
       least(f.failures - ($2::integer[])[array_position($1::text[], f.key)], $7::integer)), $6::interval)
"""
"""Counts an attempt that is not too early; the row's lock serializes concurrent attempts."""


class Account(NamedTuple):
    """An account that may log in."""

    id: int
    username: str
    display_name: str
    password_hash: str | None
    bindings: str


class _TooEarlyError(Exception):
    """One of several counters refuses, so none may count."""


async def find_account(connection: Connection, username: str) -> Account | None:
    """Return an account that may log in."""
    row = await connection.fetchrow(
        f"""select u.id, u.username, u.display_name, u.password_hash, {BINDINGS} from app_user u
            where u.username = $1 and u.enabled""",  # noqa: S608 - a constant
        username,
    )
    return Account(*row) if row else None


async def wait_for(connection: Connection, counters: Sequence[Counter], now: datetime) -> timedelta:
    """Return how long an attempt has to wait by these counters."""
    free = {counter.key: counter.free for counter in counters}
    rows = await connection.fetch(
        "select key, failures, last_failure_at from login_failure where key = any($1)", list(free)
    )
    waits = [waiting_time(row["failures"], row["last_failure_at"], free[row["key"]], now) for row in rows]
    return max(waits, default=timedelta(0))


async def count_attempt(connection: Connection, counters: Sequence[Counter], now: datetime) -> bool:
    """Count an attempt as failed before it is checked; return False when a counter requires waiting."""
    try:
        async with connection.transaction():
            await _count_in_all(connection, counters, now)
    except _TooEarlyError:
        return False
    return True


async def _count_in_all(connection: Connection, counters: Sequence[Counter], now: datetime) -> None:
    keys, free = [counter.key for counter in counters], [counter.free for counter in counters]
    steps = (FORGET_AFTER, FIRST_DELAY, LONGEST_DELAY, MOST_STEPS)
    done = await connection.execute(COUNT, keys, free, now, *steps)
    if int(done.rpartition(" ")[2]) < len(counters):
        raise _TooEarlyError


async def uncount_attempt(
    connection: Connection, counters: Sequence[Counter], *, clear: Sequence[str] = ()
) -> None:
    """Take back what `count_attempt` counted, and forget the counters named in `clear`."""
    keys = [counter.key for counter in counters]
    async with connection.transaction():
        await connection.execute(
            "select from login_failure where key = any($1) order by key for update", keys
        )
        await connection.execute(
            "delete from login_failure where key = any($1) and (failures = 1 or key = any($2))",
            keys,
            list(clear),
        )
        await connection.execute("update login_failure set failures = failures - 1 where key = any($1)", keys)


async def forget_old_failures(connection: Connection, now: datetime, most: int) -> int:
    """Delete some of the counters that nothing was added to for long; return how many."""
    tag = await connection.execute(
        """delete from login_failure where key in (
             select key from login_failure where last_failure_at < $1 limit $2
             for update skip locked)""",
        now - FORGET_AFTER,
        most,
    )
    return rows_of(tag)
