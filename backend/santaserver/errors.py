"""Every failing answer: error classes with a status, and the one place that writes them.

Answers are RFC 9457 problems. Services raise these classes; nothing else picks a status. An
error names whose fault it is, what was attempted and the next step.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

UNKNOWN = "There is no such field"
MAX_SHOWN = 200
"""Characters of what a client named a field."""
PROBLEM_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One wrong field of a request."""

    field: str = Field(description="Dotted name of the field, empty for the whole body")
    message: str


class ProblemBody(BaseModel):
    """An error as RFC 9457 describes it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []


class Problem(Exception):  # noqa: N818 - the RFC's own word
    """The base of all errors that have an answer of their own."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(
        self, detail: str, *, errors: tuple[FieldProblem, ...] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        """Keep what the client is told."""
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})


class BadRequest(Problem):
    """The request cannot be understood."""

    status = HTTPStatus.BAD_REQUEST


class Unauthorized(Problem):
    """The caller has to show who it is."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(Problem):
    """The caller is known, but may not do this."""

    status = HTTPStatus.FORBIDDEN


class NotFound(Problem):
    """There is no such thing."""

    status = HTTPStatus.NOT_FOUND


class Conflict(Problem):
    """The request contradicts what is stored."""

    status = HTTPStatus.CONFLICT


class TooLarge(Problem):
    """The body is larger than the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMedia(Problem):
    """The body is in a format or encoding that is not read here."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Unprocessable(Problem):
    """The request is readable but breaks a rule."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


def wrong_field(field: str, message: str) -> Unprocessable:
    """Return the problem of a request with one wrong field."""
    return Unprocessable(message, errors=(FieldProblem(field=field, message=message),))


class TooManyRequests(Problem):
    """The caller has to wait."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class DatabaseUnavailable(Problem):
    """PostgreSQL cannot be reached; the next request tries again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self) -> None:
        """Say the same sentence everywhere; the log has the cause."""
        super().__init__("The database cannot be reached; try again shortly", headers={"Retry-After": "5"})


class StatementTimeout(Problem):
    """One statement took longer than it may; the database itself is there."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self) -> None:
        """Say what helps."""
        super().__init__(
            "The database did not finish this in time; ask for less or try again later",
            headers={"Retry-After": "30"},
        )


class Overloaded(Problem):
    """There is more to do than this server takes on at a time."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, what: str, advice: str = "") -> None:
        """Say what there is too much of and what helps; Santa retries, with growing pauses."""
        detail = f"Too many {what} at the moment; try again shortly"
        super().__init__(f"{detail}. {advice}" if advice else detail, headers={"Retry-After": "10"})


def problem_response(
    status: int, detail: str, errors: tuple[FieldProblem, ...] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Write one problem."""
    body = ProblemBody(
        title=HTTPStatus(status).phrase, status=status, detail=_shown(detail, None), errors=list(errors)
    )
    return JSONResponse(body.model_dump(), status, dict(headers or {}), PROBLEM_TYPE)


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class only
    return problem_response(error.status, error.detail, error.errors, error.headers)


async def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    return problem_response(error.status_code, str(error.detail), headers=error.headers)


async def _on_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    fields = tuple(
        FieldProblem(field=".".join(_shown(part) for part in item["loc"][1:]), message=_message(item))
        for item in error.errors()
    )
    named = ", ".join(sorted({item.field for item in fields if item.field}))
    detail = f"The request has wrong or missing values: {named}" if named else "The request body is not valid"
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, detail, fields)


def _message(item: Mapping[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return UNKNOWN
    return _shown(item["msg"].removeprefix("Value error, "))


def _shown(part: object, length: int | None = MAX_SHOWN) -> str:
    """Write a part of a request so that it can be sent back, whatever it was."""
    return str(part)[:length].encode("utf-8", "backslashreplace").decode()


class CatchCrashes:
    """ASGI middleware: answers what nobody expected, once logged.

    A crash that reached the server would close the connection under its own answer.
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
            answer = problem_response(
                HTTPStatus.INTERNAL_SERVER_ERROR, "The server made a mistake; its log says which"
            )
            await answer(scope, receive, send)


class AnswerProblems:
    """ASGI middleware: answers the errors of routes that stand outside of FastAPI."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        try:
            await self.app(scope, receive, send)
        except Problem as error:
            answer = problem_response(error.status, error.detail, error.errors, error.headers)
            await answer(scope, receive, send)
        except HTTPException as error:
            answer = problem_response(error.status_code, str(error.detail), headers=error.headers)
            await answer(scope, receive, send)


def install(app: FastAPI) -> None:
    """Make `app` answer every error as a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_middleware(CatchCrashes)


def responses(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """List the problems of an endpoint for its OpenAPI entry."""
    return {
        int(kind.status): {
            "description": kind.__doc__ or "",
            "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        }
        for kind in kinds
    }
