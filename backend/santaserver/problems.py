"""Responses of failed requests: every error becomes an RFC 9457 problem here, and nowhere else."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from santaserver.errors import PROBLEM_TYPE, UNKNOWN, FieldProblem, Problem, ProblemBody

log = logging.getLogger(__name__)

MAX_SHOWN = 200
"""Characters of a field name from a client."""
MEMBERS = ("code", "changes", "current", "confirm")
"""Members that only some problems have."""
INTERNAL = "Internal error; see the server log"


def problem_response(
    status: int,
    detail: str,
    errors: tuple[FieldProblem, ...] = (),
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """Write one problem."""
    body = ProblemBody(
        title=HTTPStatus(status).phrase, status=status, detail=_shown(detail, None), errors=list(errors)
    )
    content = body.model_dump(mode="json", exclude=set(MEMBERS)) | dict(members or {})
    return JSONResponse(content, status, dict(headers or {}), PROBLEM_TYPE)


def error_response(error: Problem | HTTPException | RequestValidationError) -> Response:
    """Return the response to a request that failed with an error."""
    if isinstance(error, Problem):
        return problem_response(error.status, error.detail, error.errors, error.headers, error.members)
    if isinstance(error, HTTPException):
        return problem_response(error.status_code, str(error.detail), headers=error.headers)
    fields = tuple(
        FieldProblem(field=".".join(_shown(part) for part in item["loc"][1:]), message=_message(item))
        for item in error.errors()
    )
    named = ", ".join(sorted({item.field for item in fields if item.field}))
    detail = f"The request has wrong or missing values: {named}" if named else "The request body is not valid"
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, detail, fields)


async def _handle(_: Request, error: Any) -> Response:  # noqa: ANN401 - FastAPI declares any exception
    return error_response(error)


def _message(item: Mapping[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return UNKNOWN
    return _shown(item["msg"].removeprefix("Value error, "))


def _shown(part: object, length: int | None = MAX_SHOWN) -> str:
    """Encode a part of a request so that it can be sent back."""
    return str(part)[:length].encode("utf-8", "backslashreplace").decode()


class CatchCrashes:
    """ASGI middleware: logs unexpected errors and responds with 500.

    An exception that reached the server would close the connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            log.exception("request failed: %s %s", scope.get("method", scope["type"]), scope.get("path", ""))
            if started or scope["type"] != "http":
                raise
            response = problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL)
            await response(scope, receive, send)


class ProblemResponses:
    """ASGI middleware: responds to errors of routes outside of FastAPI."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        try:
            await self.app(scope, receive, send)
        except (Problem, HTTPException) as error:
            await error_response(error)(scope, receive, send)


def install(app: FastAPI) -> None:
    """Make `app` respond to every error with a problem."""
    for kind in (Problem, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _handle)
    app.add_middleware(CatchCrashes)
