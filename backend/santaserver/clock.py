"""The only place that reads the clock.

Decisions take the time as an argument; services get a `Clock`, so tests set it.
"""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Return the current moment in UTC."""
    return datetime.now(UTC)


def stamp(at: datetime | None) -> str | None:
    """Write a moment in UTC as JSON has it."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")
