"""What is counted about reported events, for `/metrics`."""

from collections.abc import Sequence
from datetime import datetime

from santaserver.events.parse import ExecutionRow, Upload
from santaserver.events.store import Added
from santaserver.instruments import Counter, Histogram

EVENTS = Counter(
    "events_total",
    "Reported events: executions that were stored or repeated ones; unreadable ones and kinds that are not "
    "stored, which were dropped; batches dropped because one event is too large.",
    outcome=("stored", "repeated", "unusable", "unsupported", "too_large"),
)
OTHER_EVENTS = Counter(
    "other_events_total",
    "Reported events that are no executions, repeated ones included.",
    kind=("file_access", "audit", "bundle_binary"),
)
LAG = Histogram(
    "event_lag_seconds",
    "Time between an execution and its arrival, by the clocks of Mac and server.",
    (1.0, 10.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0, 86400.0, 604800.0),
)

INSTRUMENTS = (EVENTS, OTHER_EVENTS, LAG)


def count_upload(upload: Upload, added: Added, now: datetime) -> None:
    """Count a batch that was stored."""
    stored = sum(added.decisions.values())
    EVENTS.add("stored", number=stored)
    EVENTS.add("repeated", number=len(upload.executions) - stored)
    EVENTS.add("unusable", number=upload.unusable)
    EVENTS.add("unsupported", number=upload.unsupported)
    OTHER_EVENTS.add("file_access", number=len(upload.file_accesses))
    OTHER_EVENTS.add("audit", number=len(upload.audits))
    OTHER_EVENTS.add("bundle_binary", number=len(upload.bundle_binaries))
    _observe_lag(upload.executions, now)


def _observe_lag(executions: Sequence[ExecutionRow], now: datetime) -> None:
    for row in executions:
        if row.timed:
            LAG.observe(max((now - row.occurred_at).total_seconds(), 0.0))
