"""Makes rare conditions frequent: small pages, changes in parts, slow writers, short limits for drift."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from santaserver.policy import layer_log, preparation
from santaserver.sync import paging, preflight
from santaserver.unit_of_work import UnitOfWork

PAGE_SIZE = 3
LARGE = 2
"""Versions in a layer; there are smaller changes and larger ones."""
PORTION = 2
MAX_STATES = 2
SELF_HEAL_AFTER = timedelta(days=2)
SELF_HEAL_SPREAD = timedelta(hours=12)
LONGEST_DRIFT_PAUSE = timedelta(hours=24)
"""Less than passes before Macs have to be right."""
SLOW = 0.01
"""Seconds between the last statement of an administrator's change and its commit."""


def hard(put: Callable[[object, str, object], None]) -> None:
    """Change the running server; `put` sets an attribute, as `setattr` does."""
    put(paging, "PAGE_SIZE", PAGE_SIZE)
    put(preparation, "LARGE", LARGE)
    put(layer_log, "PORTION", PORTION)
    put(preflight, "MAX_STATES", MAX_STATES)
    put(preflight, "SELF_HEAL_AFTER", SELF_HEAL_AFTER)
    put(preflight, "SELF_HEAL_SPREAD", SELF_HEAL_SPREAD)
    put(preflight, "LONGEST_DRIFT_PAUSE", LONGEST_DRIFT_PAUSE)
    finish = UnitOfWork.finish

    async def slow(work: UnitOfWork) -> None:
        await finish(work)
        if work._entries:  # a sync changes nothing that is audited
            await asyncio.sleep(SLOW)

    put(UnitOfWork, "finish", slow)
