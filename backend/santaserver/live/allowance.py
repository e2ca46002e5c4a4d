"""How much may be shown in full in a time: a bucket that fills with the clock that is passed in."""

from dataclasses import dataclass


@dataclass(slots=True)
class Allowance:
    """So many a second, and at most `at_once` after a quiet time."""

    per_second: float
    at_once: float
    _left: float = 0
    _filled_at: float | None = None

    def take(self, wanted: int, now: float) -> int:
        """Return how many of the wanted ones to show at `now` (seconds)."""
        if self._filled_at is None:
            self._left, self._filled_at = self.at_once, now
        elif now > self._filled_at:
            self._left = min(self._left + (now - self._filled_at) * self.per_second, self.at_once)
            self._filled_at = now
        granted = min(wanted, int(self._left))
        self._left -= granted
        return granted
