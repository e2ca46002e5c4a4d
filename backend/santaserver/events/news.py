"""Limits the events that are sent to open browsers one by one, so that they do not slow an upload."""

from dataclasses import dataclass
from datetime import datetime, timedelta

PER_SECOND = 20
"""Executions that a process shows in full; more become a number."""


@dataclass
class NewsBudget:
    """A bucket that fills with time; what it holds may be shown."""

    left: float = PER_SECOND
    filled_at: datetime | None = None

    def take(self, wanted: int, now: datetime) -> int:
        """Return how many of the wanted events to show now."""
        if self.filled_at is None or now > self.filled_at:
            passed = timedelta(seconds=1) if self.filled_at is None else now - self.filled_at
            self.left = min(self.left + passed.total_seconds() * PER_SECOND, PER_SECOND)
            self.filled_at = now
        granted = min(wanted, int(self.left))
        self.left -= granted
        return granted
