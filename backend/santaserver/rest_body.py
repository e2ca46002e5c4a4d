"""Checks a REST request in this order: its size, its sender, then its body.

Without this the framework parses the body before the sender is known, and a megabyte of brackets becomes
seconds of work and a hundred megabytes of objects.
"""

import asyncio
from typing import Any

import msgspec
from msgspec import Raw, Struct
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from santaserver.bodies import Reservation, received
from santaserver.deps import user_of
from santaserver.errors import BadRequest, StatementTimeout, TooLarge, Unauthorized
from santaserver.file_text import FileText
from santaserver.permissions import Permission
from santaserver.protocol.json_text import check_values, values
from santaserver.state import AppState

PREFIX = "/api/v1/"
MAX_REST = 64 * 1024
"""Bytes of a request's body."""
MAX_IMPORT = 16 * 1024 * 1024
"""Bytes of an import of rules, which has a file in it."""
IMPORT = "/api/v1/rules/import"
PUBLIC = frozenset(
    {
        "/api/v1/auth/login",
        "/api/v1/auth/logout",
        "/api/v1/auth/oidc/backchannel",
        "/api/v1/auth/passkeys/sign-in",
        "/api/v1/auth/passkeys/sign-in/options",
        "/api/v1/auth/second-factor",
        "/api/v1/setup",
        "/api/v1/setup/link",
    }
)
"""Bytes of a body without a login."""
BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_FRAME = 1000
"""Values in an import beside the file's text."""
IMPORT_DEADLINE = 55.0
"""Seconds from the end of an import's body to its response; santa-proxy waits for 60."""
PIECE = 64 * 1024
QUOTE = ord('"')
FILE = "santaserver.file"
"""Where in the scope the endpoint finds the file's text, which is taken out of the body."""


class _FileOnly(Struct):
    content: Raw = Raw(b'""')


_FILE = msgspec.json.Decoder(_FileOnly)
_FRAME = msgspec.json.Decoder(dict[str, Raw])


def file_of(scope: Scope) -> FileText:
    """Return the text of the file that an import's body has as `content`."""
    text: FileText | None = scope[FILE]
    if text is None:
        raise BadRequest("The body is not valid JSON")
    return text


class RestBody:
    """ASGI middleware: hands on only bodies that may be parsed, received as a whole."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on or refuse it."""
        if scope["type"] != "http" or scope["method"] in BODILESS or not scope["path"].startswith(PREFIX):
            await self.app(scope, receive, send)
            return
        state: AppState = scope["app"].state.santa
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        upload = scope["path"] == IMPORT
        limit = MAX_IMPORT if upload else MAX_REST
        length = fields.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > limit:
            raise TooLarge(_too_large(limit))
        user = None
        if scope["path"] not in PUBLIC:
            user = await user_of(Request(scope))
            if user is None and _is_endpoint(scope):
                raise Unauthorized("Log in first")
            if user is None:
                await self.app(scope, _replay(b"", receive), send)
                return
        if upload and user is not None:
            user.require(Permission.RULE_IMPORT, everywhere=True)
            async with state.limits.imports.slot(user.id):
                await self._import(state, scope, receive, send)
            return
        with Reservation(state.limits.bodies) as hold:
            body = await received(receive, hold, limit, _too_large(limit))
            await self.app(scope, _replay(body, receive), send)

    async def _import(self, state: AppState, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on an import without its file, which is read in pieces."""
        too_large = _too_large(MAX_IMPORT)
        with Reservation(state.limits.bodies) as hold:
            body = await received(receive, hold, MAX_IMPORT, too_large)
            try:
                async with asyncio.timeout(IMPORT_DEADLINE):
                    frame, scope[FILE] = await state.limits.file_worker.run(lambda: _split(body))
                    await self.app(scope, _replay(frame, receive), send)
            except TimeoutError as error:
                raise StatementTimeout from error


def _is_endpoint(scope: Scope) -> bool:
    """Return whether the path exists; an unknown path gets 404 without a login."""
    return any(route.matches(scope)[0] is Match.FULL for route in scope["app"].routes)


def _split(body: bytes) -> tuple[bytes, FileText | None]:
    """Take the file out of an import's body; raise a problem for one that would become many objects."""
    try:
        content = memoryview(_FILE.decode(body).content)
        if content[0] != QUOTE or values(body) - _values(content) > MAX_FRAME:
            raise BadRequest("The body must be an object with the file's text in `content`")
        frame: dict[str, Any] = _FRAME.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        check_values(body, MAX_FRAME)
        return body, None  # the framework reports what it is instead
    if "content" in frame:
        frame["content"] = ""
    return msgspec.json.encode(frame), FileText(content)


def _values(text: memoryview) -> int:
    return sum(values(bytes(text[place : place + PIECE])) for place in range(0, len(text), PIECE))


def _too_large(limit: int) -> str:
    parts = ": import the file in parts, or as CSV" if limit == MAX_IMPORT else ""
    return f"The body exceeds the limit of {limit} bytes{parts}"


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body at once, then what comes from the connection."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return left.pop() if left else await receive()

    return replayed
