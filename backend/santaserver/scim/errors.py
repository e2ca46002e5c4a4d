"""Errors as SCIM describes them (RFC 7644, 3.12)."""

from http import HTTPStatus
from typing import Any

from santaserver.errors import Problem

URN = "urn:ietf:params:scim:api:messages:2.0:Error"

INVALID_FILTER = "invalidFilter"
INVALID_PATH = "invalidPath"
INVALID_SYNTAX = "invalidSyntax"
INVALID_VALUE = "invalidValue"
MUTABILITY = "mutability"
NO_TARGET = "noTarget"
TOO_MANY = "tooMany"
UNIQUENESS = "uniqueness"

MAX_QUOTED = 100
"""Characters of a client's text in a message."""


class ScimError(Problem):
    """A request that fails; `kind` is its `scimType`, empty when there is none for it."""

    def __init__(self, detail: str, kind: str = "", status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        """Keep what the response says."""
        super().__init__(detail)
        self.kind = kind
        self.status = status


def conflict(detail: str, kind: str = UNIQUENESS) -> ScimError:
    """Return the error of a request that what is stored does not allow."""
    return ScimError(detail, kind, HTTPStatus.CONFLICT)


def not_found(what: str) -> ScimError:
    """Return the error of a request about something that there is not."""
    return ScimError(f"There is no such {what}", status=HTTPStatus.NOT_FOUND)


def body(status: int, detail: str, kind: str = "") -> dict[str, Any]:
    """Return the response's body."""
    named = {"scimType": kind} if kind else {}
    return {"schemas": [URN], "status": str(int(status)), **named, "detail": detail}


def quoted(text: object) -> str:
    """Return a client's text as a message may have it."""
    return repr(str(text)[:MAX_QUOTED])
