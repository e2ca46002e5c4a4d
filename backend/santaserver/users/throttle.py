"""How long somebody must wait after failed logins. Pure: the counts come from the repository.

An account is slowed down per address, so that nobody can lock out somebody else from elsewhere;
an address is slowed down over all accounts at a higher count.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

FREE_PER_ACCOUNT = 5
FREE_PER_ADDRESS = 30
FIRST_DELAY = timedelta(seconds=2)
LONGEST_DELAY = timedelta(minutes=15)
FORGET_AFTER = timedelta(hours=24)


@dataclass(frozen=True)
class Failures:
    """Failed logins in a row."""

    count: int
    last_at: datetime


def account_key(username: str, address: str) -> str:
    """Name the counter of one account from one address."""
    return f"account:{username}@{address}"


def address_key(address: str) -> str:
    """Name the counter of one address."""
    return f"address:{address}"


def waiting_time(failures: Failures | None, free: int, now: datetime) -> timedelta:
    """Return how long the next attempt has to wait: doubling from 2 s to 15 minutes after `free` failures."""
    if failures is None or failures.count < free or now - failures.last_at > FORGET_AFTER:
        return timedelta(0)
    steps = min(failures.count - free, 20)
    delay: timedelta = min(FIRST_DELAY * (1 << steps), LONGEST_DELAY)
    return max(failures.last_at + delay - now, timedelta(0))
