"""Counts what is dropped, truncated or unknown in Macs' reports, for `/metrics`: a fixed set of kinds.

The counts are per process and updated only for unusual data, so ordinary events cost nothing.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Oddity(StrEnum):
    """What can be unusual about a report; the values of the metric's label."""

    EVENT_UNUSABLE = "event_unusable"
    """Without what is needed to store it, or unreadable: dropped."""
    EVENT_UNSUPPORTED = "event_unsupported"
    """Of a kind that a version 1 client does not send: dropped."""
    WORD_UNKNOWN = "word_unknown"
    """A decision or state that is none of the protocol's: stored as "other"."""
    TIME_IMPLAUSIBLE = "time_implausible"
    """Before Santa, or after tomorrow: the time of arrival is stored."""
    IDENTIFIER_MALFORMED = "identifier_malformed"
    """A hash, team ID, signing ID or certificate of the wrong form: dropped."""
    TEXT_CLIPPED = "text_clipped"
    LIST_CLIPPED = "list_clipped"


_counts: Counter[Oddity] = Counter()
_lock = threading.Lock()
"""Large uploads are read by a thread of their own."""


def count(oddity: Oddity, number: int = 1) -> None:
    """Count one."""
    with _lock:
        _counts[oddity] += number


def counted() -> Mapping[Oddity, int]:
    """Return how often each kind was met, the others being 0."""
    return {oddity: _counts[oddity] for oddity in Oddity}


def cut(values: list[str], limit: int) -> list[str]:
    """Return texts of at most `limit` characters."""
    if not values or max(map(len, values)) <= limit:
        return values
    count(Oddity.TEXT_CLIPPED, sum(len(value) > limit for value in values))
    return [value[:limit] for value in values]
