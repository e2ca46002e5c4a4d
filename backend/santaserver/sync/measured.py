"""What is counted about syncs, for `/metrics`."""

import asyncio
import time
from collections.abc import Mapping
from enum import StrEnum

from starlette.exceptions import HTTPException

from santaserver.enrollment.refusals import CredentialRefused
from santaserver.errors import (
    BadRequest,
    Conflict,
    DatabaseUnavailable,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    StatementTimeout,
    TooLarge,
    Unauthorized,
    UnsupportedMedia,
)
from santaserver.instruments import Counter, Histogram
from santaserver.sync.states import Kind, Reason

OTHER = "other"
STAGES = ("preflight", "eventupload", "ruledownload", "postflight", "metrics", OTHER)


class Outcome(StrEnum):
    """What became of a Mac's request."""

    OK = "ok"
    UNAUTHORIZED = "unauthorized"
    """Without a secret, or with one that is not accepted."""
    CREDENTIAL = "credential"
    """Another credential than the Mac's, or the Mac is retired."""
    UNKNOWN = "unknown"
    """No such Mac or stage."""
    CONFLICT = "conflict"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    OVERLOADED = "overloaded"
    DATABASE = "database"
    TIMEOUT = "timeout"
    """A statement of the database took too long."""
    ABANDONED = "abandoned"
    """The client left, or this worker stopped."""
    ERROR = "error"
    """A mistake of this server; the log has it."""


OUTCOMES: Mapping[type[BaseException], Outcome] = {
    Unauthorized: Outcome.UNAUTHORIZED,
    CredentialRefused: Outcome.CREDENTIAL,
    NotFound: Outcome.UNKNOWN,
    HTTPException: Outcome.UNKNOWN,
    Conflict: Outcome.CONFLICT,
    BadRequest: Outcome.MALFORMED,
    UnsupportedMedia: Outcome.MALFORMED,
    TooLarge: Outcome.TOO_LARGE,
    Overloaded: Outcome.OVERLOADED,
    DatabaseUnavailable: Outcome.DATABASE,
    OutcomeUnknown: Outcome.DATABASE,
    StatementTimeout: Outcome.TIMEOUT,
    asyncio.CancelledError: Outcome.ABANDONED,
}

REQUESTS = Counter(
    "sync_requests_total",
    "Requests of Macs by stage of the sync and outcome.",
    stage=STAGES,
    outcome=Outcome,
)
SECONDS = Histogram(
    "sync_request_duration_seconds",
    "Time of a Mac's request in the worker, waiting for its turn included.",
    (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    stage=STAGES,
)
SYNCS = Counter("syncs_total", "Syncs begun by kind.", kind=Kind)
CLEAN_SYNCS = Counter("clean_syncs_total", "Clean syncs begun by reason.", reason=Reason)
POSTFLIGHTS = Counter(
    "postflights_total",
    "Syncs concluded: confirmed, rejected because the Mac has other rules, or ignored as stray.",
    verdict=("confirmed", "rejected", "stray"),
)

INSTRUMENTS = (REQUESTS, SECONDS, SYNCS, CLEAN_SYNCS, POSTFLIGHTS)


def outcome_of(error: BaseException | None) -> Outcome:
    """Return what became of a request that raised `error`, or nothing."""
    if error is None:
        return Outcome.OK
    return next((OUTCOMES[kind] for kind in type(error).__mro__ if kind in OUTCOMES), Outcome.ERROR)


def count_request(stage: str, error: BaseException | None, began_at: float) -> None:
    """Count a request that began at `began_at`, of the clock `time.perf_counter`."""
    named = stage if stage in STAGES else OTHER
    REQUESTS.add(named, outcome_of(error))
    SECONDS.observe(time.perf_counter() - began_at, named)


def count_sync(kind: Kind, reason: Reason | None) -> None:
    """Count a sync that begins."""
    SYNCS.add(kind)
    if reason is not None:
        CLEAN_SYNCS.add(reason)
