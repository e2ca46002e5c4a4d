"""Long work on the event loop, done in portions so that other requests get their turn."""

import asyncio
import time

PORTION = 0.01
"""Seconds after which other requests get a turn."""


class Turns:
    """Watches how long a piece of work has kept the event loop."""

    def __init__(self) -> None:
        """Begin a portion."""
        self._since = time.monotonic()

    async def pause(self) -> None:
        """Yield to other requests when this portion has taken long enough; call it between two steps."""
        if time.monotonic() - self._since >= PORTION:
            await asyncio.sleep(0)
            self._since = time.monotonic()
