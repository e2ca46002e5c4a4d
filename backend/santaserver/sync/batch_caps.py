"""Reduces the batch size of a Mac whose uploads are too large. Pure.

A Mac repeats a refused batch at every sync. So it is asked to send fewer events at a time, down to one; an
event that is too large even alone is dropped, because it would block all later ones.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from santaserver import sizes
from santaserver.cache import CacheMemory, LruCache

STEPS = (20, 5, 1)
"""Events in a batch, one after the other, as long as batches stay too large."""
LASTS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cap:
    """The batch size that a Mac is sent."""

    step: int
    until: datetime
    told: bool = False
    """Whether a preflight has sent it since."""


class BatchCaps:
    """The Macs of this process whose batches were too large."""

    def __init__(self, memory: CacheMemory) -> None:
        """Begin with none."""
        self._caps: LruCache[str, Cap] = LruCache(
            memory, "batch_sizes", lambda key, _: sizes.ENTRY + sizes.text(key)
        )

    def too_large(self, machine_id: str, now: datetime) -> bool:
        """Record that a Mac's batch was refused; return whether it had one event and has to be dropped."""
        cap = self._current(machine_id, now)
        if cap is None:
            self._caps.put(machine_id, Cap(0, now + LASTS))
        elif cap.told and cap.step + 1 < len(STEPS):
            self._caps.put(machine_id, Cap(cap.step + 1, now + LASTS))
        return cap is not None and cap.told and cap.step + 1 == len(STEPS)

    def apply(self, machine_id: str, response: bytes, now: datetime) -> bytes:
        """Return a preflight's JSON response with the batch size that this Mac may use."""
        cap = self._current(machine_id, now)
        if cap is None:
            return response
        self._caps.put(machine_id, Cap(cap.step, cap.until, told=True))
        settings = msgspec.json.decode(response)
        settings["batch_size"] = min(settings["batch_size"], STEPS[cap.step])
        return msgspec.json.encode(settings)

    def _current(self, machine_id: str, now: datetime) -> Cap | None:
        cap = self._caps.get(machine_id)
        return cap if cap is not None and now < cap.until else None
