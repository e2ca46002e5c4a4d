"""A build that leaks on purpose: in each request some memory, in each fiftieth a descriptor.

`python -m tests.soak.leak serve --fd N` serves as `python -m santaserver serve --fd N` does.
"""

import itertools
import os
import sys
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from santaserver import __main__ as command_line
from santaserver import main
from santaserver.settings import Settings

BYTES = 8_000
"""Of each request: they stay."""
REQUESTS = 50
"""For each descriptor that stays open."""
KEPT: list[Any] = []


class Leaking:
    """An application around another one."""

    def __init__(self, app: ASGIApp) -> None:
        """Keep the other one."""
        self._app = app
        self._number = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leak and pass the request on."""
        if scope["type"] == "http":
            KEPT.append(os.urandom(BYTES))
            if next(self._number) % REQUESTS == 0:
                KEPT.append(os.open(os.devnull, os.O_RDONLY))
        await self._app(scope, receive, send)


def create_app(settings: Settings) -> ASGIApp:
    """Build the application as in production, and around it what leaks."""
    return Leaking(BUILT(settings))


if __name__ == "__main__":
    BUILT = main.create_app
    main.create_app = create_app  # type: ignore[assignment]
    sys.exit(command_line.main())
