"""SCIM over HTTP. Bare ASGI, as Santa's stages are: its errors, its bodies and its tokens are its own."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from santaserver.bearer import bearer_of
from santaserver.bodies import Reservation, received
from santaserver.deps import request_info, state_of
from santaserver.errors import Problem, TooLarge, UnsupportedMedia
from santaserver.protocol.json_text import MAX_OBJECTS, values
from santaserver.scim import errors, resources
from santaserver.scim.calls import Answer, Call
from santaserver.scim.errors import INVALID_SYNTAX, ScimError
from santaserver.scim.state import PREFIX

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/scim+json"
PLAIN = "application/json"
MAX_BODY = 2 * 1024 * 1024
"""Bytes; a PATCH that adds 5,000 members has some 500,000."""
MAX_PARAMETERS = 50
BODILESS = frozenset({"GET", "DELETE"})
INTERNAL = "Internal error; see the server log"
TOO_LARGE = f"The body exceeds the limit of {MAX_BODY} bytes or {MAX_OBJECTS} values: send it in parts"
_ENCODE = msgspec.json.Encoder().encode


def is_scim(scope: Scope) -> bool:
    """Return whether a request is one of SCIM's."""
    path: str = scope["path"] if scope["type"] == "http" else ""
    return path == "/scim" or path.startswith("/scim/")


async def serve_scim(scope: Scope, receive: Receive, send: Send) -> None:
    """Handle one request; errors are described as SCIM does."""
    request = Request(scope, receive)
    started = False

    async def watched(message: Any) -> None:  # noqa: ANN401 - ASGI
        nonlocal started
        started = True
        await send(message)

    try:
        answer = await _answered(request, receive)
    except (Problem, HTTPException) as error:
        answer = _of_error(error)
    except Exception:
        log.exception("request failed: %s %s", scope["method"], PREFIX)
        if started:
            raise
        answer = Answer(
            HTTPStatus.INTERNAL_SERVER_ERROR, errors.body(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL)
        )
    await _send(watched, request, answer)


async def _answered(request: Request, receive: Receive) -> Answer:
    state, info = state_of(request), request_info(request)
    now = state.clock()
    client = await state.scim.client_of(bearer_of(request.headers), info, now)
    path = request.scope["path"]
    if path != PREFIX and not path.startswith(PREFIX + "/"):
        raise HTTPException(HTTPStatus.NOT_FOUND, f"SCIM is at {PREFIX}")
    parts = tuple(part for part in path.removeprefix(PREFIX).split("/") if part)
    resources.check(request.method, parts)
    with Reservation(state.limits.bodies) as hold:
        body = await _body(request, receive, hold)
        call = Call(
            state=state,
            method=request.method,
            parts=parts,
            parameters=_parameters(request),
            fields={name.lower(): value for name, value in request.headers.items()},
            body=body,
            base=_base(request, state.settings.server.public_url) + PREFIX,
            actor=client.actor,
            token=client.token,
            info=info,
            now=now,
        )
        return await resources.answer(call)


async def _body(request: Request, receive: Receive, hold: Reservation) -> Any:  # noqa: ANN401 - JSON
    if request.method in BODILESS:
        return None
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > MAX_BODY:
        raise TooLarge(TOO_LARGE)
    media = request.headers.get("content-type", PLAIN).partition(";")[0].strip().lower()
    if media not in {MEDIA_TYPE, PLAIN}:
        raise UnsupportedMedia(f"The body has to be {MEDIA_TYPE} or {PLAIN}")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia("The body must not be compressed")
    text = await received(receive, hold, MAX_BODY, TOO_LARGE)
    if values(text) > MAX_OBJECTS:
        raise TooLarge(TOO_LARGE)
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ScimError("The body is not valid JSON", INVALID_SYNTAX) from None


def _parameters(request: Request) -> dict[str, str]:
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise ScimError("The parameters cannot be read", INVALID_SYNTAX) from None
    return dict(pairs)


def _base(request: Request, public_url: str) -> str:
    if public_url:
        return public_url.rstrip("/")
    scheme = request.headers.get("x-forwarded-proto") or request.url.scheme
    host = request.headers.get("x-forwarded-host") or request.headers.get("host") or "localhost"
    return f"{scheme}://{host}"


def _of_error(error: Problem | HTTPException) -> Answer:
    if isinstance(error, HTTPException):
        body = errors.body(error.status_code, str(error.detail))
        return Answer(error.status_code, body, dict(error.headers or {}))
    kind = error.kind if isinstance(error, ScimError) else ""
    return Answer(int(error.status), errors.body(error.status, error.detail, kind), error.headers)


async def _send(send: Callable[[Any], Awaitable[None]], request: Request, answer: Answer) -> None:
    body = b"" if answer.resource is None else _ENCODE(answer.resource)
    accepted = request.headers.get("accept", "").lower()
    media = PLAIN if PLAIN in accepted and MEDIA_TYPE not in accepted else MEDIA_TYPE
    headers = {"Cache-Control": "no-store", **answer.headers}
    if answer.resource is not None:
        headers["Content-Type"] = media
    if answer.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        headers["Content-Length"] = str(len(body))
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": int(answer.status), "headers": raw})
    await send({"type": "http.response.body", "body": body})
