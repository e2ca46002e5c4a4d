"""What was told lately, for browsers that were away for a moment or that have just read their page."""

import math
from collections import deque
from collections.abc import Iterator

from santaserver.live.subscriber import QUEUE_SIZE, Notification

KEPT = QUEUE_SIZE
"""Messages."""
KEPT_BRIEFLY = 50_000
BRIEFLY = 15.0
"""Seconds that news of single machines is kept: a page says what it shows right after it has read it."""


class Recent:
    """The last messages, and what single Macs did lately, with their times on one clock."""

    def __init__(self, now: float) -> None:
        """Begin: from `now` on everything is known."""
        self._full: deque[tuple[float, Notification]] = deque()
        self._brief: deque[tuple[float, str | Notification]] = deque()
        self._full_since = self._brief_since = now

    def forget(self, now: float) -> None:
        """Say that something before `now` is missing."""
        self._full.clear()
        self._brief.clear()
        self._full_since = self._brief_since = now

    def keep(self, now: float, notification: Notification) -> None:
        """Keep a message."""
        if len(self._full) >= KEPT:
            self._full_since = _after(self._full.popleft()[0])
        self._full.append((now, notification))

    def keep_briefly(self, now: float, news: str | Notification) -> None:
        """Keep the mark of a sync's step, or a message about one machine, for a moment."""
        brief = self._brief
        while brief and (brief[0][0] < now - BRIEFLY or len(brief) >= KEPT_BRIEFLY):
            self._brief_since = _after(brief.popleft()[0])
        brief.append((now, news))

    def full(self, since: float) -> Iterator[Notification] | None:
        """Return the messages since then; None when not all of them are known."""
        if since < self._full_since:
            return None
        return (notification for at, notification in self._full if at >= since)

    def brief(self, since: float) -> Iterator[str | Notification] | None:
        """Return what single Macs did since then; None when not all of it is known."""
        if since < self._brief_since:
            return None
        return (news for at, news in self._brief if at >= since)


def _after(at: float) -> float:
    return math.nextafter(at, math.inf)
