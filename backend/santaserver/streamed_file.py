"""Sends a file that is made meanwhile: in portions, within deadlines, and visibly cut off by an error."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Protocol

from starlette.responses import StreamingResponse
from starlette.types import Send

from santaserver.errors import Problem, StatementTimeout

log = logging.getLogger(__name__)

STALL = 30.0
"""Seconds that a client may read nothing."""
LAST_PART = 1.0
"""Seconds for the last part of a file that is cut off."""


class Export(Protocol):
    """What is sent."""

    what: str
    """For the log, as in "an export of rules"."""
    deadline: float
    """Seconds that it may take in all."""

    def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield the file in portions; the first is asked for when the response is sent."""

    def broken_off(self) -> bytes:
        """Return what ends a file that is cut off; it may be empty."""


class StreamedFile(StreamingResponse):
    """The response; an error before the first portion is a problem, a later one closes the connection."""

    def __init__(self, export: Export, media_type: str, name: str) -> None:
        """Prepare a download with this file name."""
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(iter(()), media_type=media_type, headers=headers)
        self._export = export

    async def stream_response(self, send: Send) -> None:
        """Send the file; an incomplete one lacks the end that HTTP requires."""
        started = False
        try:
            async with asyncio.timeout(self._export.deadline), aclosing(self._export.parts()) as parts:
                async for part in parts:
                    if not started:
                        head = {"status": self.status_code, "headers": self.raw_headers}
                        await send({"type": "http.response.start", **head})
                        started = True
                    async with asyncio.timeout(STALL):
                        await _send(send, part)
        except (Problem, TimeoutError) as error:
            if not started:
                raise error if isinstance(error, Problem) else StatementTimeout from error
            reason = error or "the client read it too slowly"
            log.warning("an export of %s was cut off: %s", self._export.what, reason)
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_PART):
                    await _send(send, self._export.broken_off())
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(send: Send, part: bytes) -> None:
    if part:
        await send({"type": "http.response.body", "body": part, "more_body": True})
