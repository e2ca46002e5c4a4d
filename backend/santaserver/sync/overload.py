"""How much a process takes on at a time. More is answered 503 at once, so that what was taken is quick.

Syncs and event uploads have limits of their own: a burst of one does not turn the other away. Santa
repeats a 503 after 4, 8, 16 and 32 seconds, and events stay queued on the Mac.
"""

from dataclasses import dataclass, field

from santaserver.db import EVENT_CONNECTIONS, SYNC_CONNECTIONS
from santaserver.limiter import ConcurrencyLimiter
from santaserver.sync.budget import ADVICE, MAX_BODIES, Budget, Sideline

PATIENCE = 5.0
"""Seconds that a request waits for its turn; a Mac gives up on an answer after 30."""


@dataclass(frozen=True)
class Limits:
    """The limits of one process."""

    syncs: ConcurrencyLimiter = field(
        default_factory=lambda: ConcurrencyLimiter("syncs", SYNC_CONNECTIONS, 1000, PATIENCE, advice=ADVICE)
    )
    events: ConcurrencyLimiter = field(
        default_factory=lambda: ConcurrencyLimiter(
            "event uploads", EVENT_CONNECTIONS, 200, PATIENCE, advice=ADVICE
        )
    )
    bodies: Budget = field(default_factory=lambda: Budget("large requests", MAX_BODIES))
    sideline: Sideline = field(default_factory=Sideline)
