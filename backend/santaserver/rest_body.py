"""What a REST request may send, decided in this order: its size, who sends it, then its body.

Without this the framework parses whatever comes before anybody asks who sent it, and a megabyte of
brackets becomes seconds of work and a hundred megabytes of objects.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct
from starlette.requests import cookie_parser
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from santaserver.errors import BadRequest, TooLarge, Unauthorized
from santaserver.state import AppState
from santaserver.sync.body import received
from santaserver.sync.budget import Hold
from santaserver.sync.json_text import check_values, values
from santaserver.users.cookies import read_session_cookie

PREFIX = "/api/v1/"
MAX_REST = 64 * 1024
"""Bytes of a request's body."""
MAX_IMPORT = 16 * 1024 * 1024
"""Bytes of an import of rules, which has a file in it."""
IMPORT = "/api/v1/rules/import"
PUBLIC = frozenset({"/api/v1/auth/login", "/api/v1/auth/logout"})
"""What somebody may send who is not logged in."""
BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_FRAME = 1000
"""Values in an import beside the file's text."""


class _ImportFrame(Struct):
    content: Raw = Raw(b'""')


_FRAME = msgspec.json.Decoder(_ImportFrame)


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
        if scope["path"] not in PUBLIC and not await _has_session(state, fields):
            if not _is_endpoint(scope):
                await self.app(scope, _replay(b"", receive), send)
                return
            raise Unauthorized("Log in first")
        with Hold(state.limits.bodies) as hold:
            body = await received(receive, hold, limit, _too_large(limit))
            if upload:
                _check_import(body)
            await self.app(scope, _replay(body, receive), send)


async def _has_session(state: AppState, fields: Mapping[str, str]) -> bool:
    token = read_session_cookie(cookie_parser(fields.get("cookie", "")), state.settings)
    return await state.sessions.user_of(token, state.clock()) is not None


def _is_endpoint(scope: Scope) -> bool:
    """Tell whether there is anything to log in for; what is not there is answered so to everybody."""
    return any(route.matches(scope)[0] is Match.FULL for route in scope["app"].routes)


def _check_import(body: bytes) -> None:
    """Raise a problem for a body that would become many objects; the file in it is one text."""
    try:
        content = bytes(_FRAME.decode(body).content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        check_values(body, MAX_FRAME)  # what it is instead is the framework's to say
        return
    if not content.startswith(b'"') or values(body) - values(content) > MAX_FRAME:
        raise BadRequest("The body has to be an object with the file's text as `content`")


def _too_large(limit: int) -> str:
    return f"The body is larger than {limit} bytes, which is the most that is taken here"


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body at once, then what comes from the connection."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return left.pop() if left else await receive()

    return replayed
