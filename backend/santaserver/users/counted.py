"""Counts attempts before they are made: of passwords, setup links and API tokens."""

import math
from datetime import datetime, timedelta

from santaserver.db import Connection
from santaserver.errors import TooManyRequests
from santaserver.users import login_repository as repository
from santaserver.users.throttle import Counter


async def count(
    connection: Connection, counted: list[Counter], asked: list[Counter], now: datetime
) -> timedelta:
    """Count an attempt; return how long it has to wait instead, by the counters that are asked."""
    wait = await repository.wait_for(connection, asked, now)
    if not wait and not await repository.count_attempt(connection, counted, now):
        wait = await repository.wait_for(connection, asked, now) or timedelta(seconds=1)
    return wait


def too_many(wait: timedelta, what: str = "failed logins") -> TooManyRequests:
    """Return the problem of an attempt that has to wait."""
    seconds = math.ceil(wait.total_seconds())
    return TooManyRequests(
        f"Too many {what}; try again in {seconds} s", headers={"Retry-After": str(seconds)}
    )
