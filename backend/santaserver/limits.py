"""How much a process handles at a time. More gets 503 at once, so that admitted requests stay fast.

Syncs and event uploads have separate limits: a burst of one does not reject the other. Santa repeats a 503
after 4, 8, 16 and 32 seconds, and events stay queued on the Mac.
"""

from dataclasses import dataclass, field

from santaserver.bodies import ADVICE, MAX_BODIES, MemoryBudget, WorkerThread
from santaserver.db import EVENT_CONNECTIONS, SYNC_CONNECTIONS
from santaserver.limiter import ConcurrencyLimiter

WAIT_TIMEOUT = 5.0
"""Seconds that a request waits for its turn; a Mac's timeout is 30."""
WAITING_SYNCS = 4000
"""Syncs that wait for a large change of rules to be prepared, without a connection."""
FILES = 2
"""Exports, and imports, at the same time; one of each for a user."""
FILES_WAITING = 10
FILES_WAITING_PER_USER = 2
FILE_WAIT_TIMEOUT = 20.0


def _files(what: str) -> ConcurrencyLimiter:
    return ConcurrencyLimiter(
        what, FILES, FILES_WAITING, FILE_WAIT_TIMEOUT, per_key=1, waiting_per_key=FILES_WAITING_PER_USER
    )


@dataclass(frozen=True)
class Limits:
    """The limits of one process."""

    syncs: ConcurrencyLimiter = field(
        default_factory=lambda: ConcurrencyLimiter(
            "syncs", SYNC_CONNECTIONS, 1000, WAIT_TIMEOUT, advice=ADVICE
        )
    )
    events: ConcurrencyLimiter = field(
        default_factory=lambda: ConcurrencyLimiter(
            "event uploads", EVENT_CONNECTIONS, 200, WAIT_TIMEOUT, advice=ADVICE
        )
    )
    waiting_syncs: ConcurrencyLimiter = field(
        default_factory=lambda: ConcurrencyLimiter("syncs that wait for new rules", WAITING_SYNCS, 0, 0.0)
    )
    bodies: MemoryBudget = field(default_factory=lambda: MemoryBudget("large requests", MAX_BODIES))
    body_worker: WorkerThread = field(default_factory=WorkerThread)
    exports: ConcurrencyLimiter = field(default_factory=lambda: _files("exports"))
    imports: ConcurrencyLimiter = field(default_factory=lambda: _files("imports"))
    file_worker: WorkerThread = field(default_factory=lambda: WorkerThread("rule files"))
