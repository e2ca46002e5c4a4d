"""Why a request fails: error classes with a status; problems.py writes the response.

Services raise these classes; nothing else picks a status. An error states the cause, what was attempted and
the next step.
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

UNKNOWN = "Unknown field"
FRESH_LOGIN = "fresh_login_required"
SESSION = "session_required"
LOGIN_EXPIRED = "login_expired"
PROBLEM_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One wrong field of a request."""

    field: str = Field(description="Dotted name of the field, empty for the whole body")
    message: str


class ChangeNote(BaseModel):
    """A change of an object by someone."""

    at: datetime
    actor: str
    actor_kind: str = Field(description="user, token, schedule, command_line or enrollment")
    kind: str = Field(description="What was done, as the audit log calls it")
    reason: str
    fields: list[str] = Field(description="What differs after it; empty when that is not known")


class ProblemBody(BaseModel):
    """An error as RFC 9457 describes it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []
    code: str | None = Field(
        None,
        description="With some problems, for programs: `fresh_login_required` (enter the password again, "
        "then repeat the request), `session_required` (no API token may do this), `login_expired` (the "
        "password was entered too long ago for the second factor: log in again)",
    )
    changes: list[ChangeNote] | None = Field(
        None, description="With 412: the changes since the version that the request names, the latest first"
    )
    current: dict[str, Any] | None = Field(
        None, description="With 412: the object as it is now, with its `etag`"
    )
    confirm: dict[str, Any] | None = Field(
        None, description="With 409, when the change has to be confirmed: a `ConfirmQuestion`"
    )


class Problem(Exception):  # noqa: N818 - the RFC's own word
    """The base of all errors with their own response."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(
        self,
        detail: str,
        *,
        errors: tuple[FieldProblem, ...] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the message for the client, and further members of the body."""
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.members = dict(members or {})


class BadRequest(Problem):
    """The request cannot be understood."""

    status = HTTPStatus.BAD_REQUEST


class Unauthorized(Problem):
    """Authentication is required."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(Problem):
    """The caller lacks permission."""

    status = HTTPStatus.FORBIDDEN


class NotFound(Problem):
    """The object does not exist."""

    status = HTTPStatus.NOT_FOUND


class Conflict(Problem):
    """The request conflicts with what is stored."""

    status = HTTPStatus.CONFLICT


class PreconditionFailed(Problem):
    """What the caller expected to change is not what there is."""

    status = HTTPStatus.PRECONDITION_FAILED


class PreconditionRequired(Problem):
    """The request must say which version it changes, in `If-Match`."""

    status = HTTPStatus.PRECONDITION_REQUIRED


class TooLarge(Problem):
    """The body is larger than the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMedia(Problem):
    """The body's format or encoding is not supported."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Unprocessable(Problem):
    """The request is well formed but invalid."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


def wrong_field(field: str, message: str) -> Unprocessable:
    """Return the problem of a request with one wrong field."""
    return Unprocessable(message, errors=(FieldProblem(field=field, message=message),))


class TooManyRequests(Problem):
    """The caller sent too many requests."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class DatabaseUnavailable(Problem):
    """PostgreSQL cannot be reached; the next request tries again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self) -> None:
        """Use the same message everywhere; the log has the cause."""
        super().__init__("The database cannot be reached; try again shortly", headers={"Retry-After": "5"})


class OutcomeUnknown(Problem):
    """The connection was lost at the commit: only the database knows whether it happened."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self) -> None:
        """Say how to find out."""
        super().__init__(
            "The database was lost while the change was being stored, so it may or may not have happened. "
            "Repeat the request with the same If-Match: a 412 then lists what has changed, this one included",
            headers={"Retry-After": "5"},
        )


class StatementTimeout(Problem):
    """One statement took longer than it may; the database itself is there."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self) -> None:
        """Add advice."""
        super().__init__(
            "The database did not finish in time; request less data or try again later",
            headers={"Retry-After": "30"},
        )


class Overloaded(Problem):
    """There is more to do than this server takes on at a time."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, what: str, advice: str = "") -> None:
        """Name the resource and the advice; Santa retries, with growing pauses."""
        detail = f"Too many {what} at the moment; try again shortly"
        super().__init__(f"{detail}. {advice}" if advice else detail, headers={"Retry-After": "10"})


def responses(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """List the problems of an endpoint for its OpenAPI entry."""
    return {
        int(kind.status): {
            "description": kind.__doc__ or "",
            "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        }
        for kind in kinds
    }


CHANGING = responses(BadRequest, NotFound, PreconditionFailed, PreconditionRequired)
"""What every change of an object can be answered with."""
