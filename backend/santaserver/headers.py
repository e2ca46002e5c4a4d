"""Headers of REST responses: nothing about the fleet is cached; warnings about a change are listed."""

import json
from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from santaserver.deps import SET_COOKIE, WARNINGS

HEADER = "X-Warnings"
MAX_WARNINGS = 5
MAX_TEXT = 400


class RestHeaders:
    """ASGI middleware: adds warnings, a renewed session cookie, and `no-store` unless it is set."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        """Wrap `app`."""
        self.app = app
        self.prefix = prefix + "/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or not scope["path"].startswith(self.prefix):
            await self.app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                if SET_COOKIE in scope and "set-cookie" not in headers:
                    headers.append("set-cookie", scope[SET_COOKIE])
                if message["status"] < HTTPStatus.BAD_REQUEST and scope.get(WARNINGS):
                    headers[HEADER] = header_value(scope[WARNINGS])
            await send(message)

        await self.app(scope, receive, marked)


def header_value(texts: Sequence[str]) -> str:
    """Return the first warnings as a JSON list in ASCII."""
    return json.dumps([text[:MAX_TEXT] for text in texts[:MAX_WARNINGS]])
