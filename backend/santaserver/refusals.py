"""Which refused logins get an audit entry: each that was checked, but of the throttled ones only some.

A throttled attempt costs its sender nothing, so that an entry for each would let strangers fill the log.
"""

from collections import OrderedDict
from datetime import datetime, timedelta

EVERY = timedelta(minutes=1)
"""Between two entries about one network."""
MAX_NETWORKS = 1000
MOST = 60
"""Entries in `EVERY`, of all networks together."""


class Refusals:
    """The throttled attempts of this process since their last entry."""

    def __init__(self) -> None:
        """Know of none."""
        self._networks: OrderedDict[str, tuple[datetime, int]] = OrderedDict()
        self._window: tuple[datetime, int] | None = None

    def count(self, network: str, now: datetime) -> int:
        """Count an attempt; return of how many an entry is due, 0 for none."""
        told_at, untold = self._networks.pop(network, (None, 0))
        untold += 1
        if (told_at is not None and told_at <= now < told_at + EVERY) or not self._may(now):
            self._keep(network, told_at or now - EVERY, untold)
            return 0
        self._keep(network, now, 0)
        return untold

    def _may(self, now: datetime) -> bool:
        began, used = self._window or (now, 0)
        if not began <= now < began + EVERY:
            began, used = now, 0
        self._window = (began, used + 1)
        return used < MOST

    def _keep(self, network: str, told_at: datetime, untold: int) -> None:
        self._networks[network] = (told_at, untold)
        if len(self._networks) > MAX_NETWORKS:
            self._networks.popitem(last=False)
