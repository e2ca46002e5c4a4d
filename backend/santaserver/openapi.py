"""The OpenAPI document: FastAPI's own, with our problems and the live messages added.

`openapi.json` beside pyproject.toml is this document; a test proves that it is fresh.
"""

import json
from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import Field, RootModel
from pydantic.json_schema import models_json_schema

from santaserver.confirmation import ConfirmQuestion
from santaserver.errors import PROBLEM_TYPE, ProblemBody
from santaserver.events.messages import EventSeen
from santaserver.live.messages import Hello, MachineChanged, SyncProgress, SyncSummary, Watch
from santaserver.outbox import Lagged
from santaserver.rules.messages import RuleChanged

TEMPLATE = "#/components/schemas/{model}"
DESCRIPTION = """Rules, machines and events of a fleet of Macs that run Santa.

Errors are RFC 9457 problems (`application/problem+json`). Lists are paged: pass `next_cursor` as
`cursor`. Log in at `/api/v1/auth/login`; the session is a cookie.

A change says which version of an object it is made for: send the `etag` that the object had as `If-Match`.
Without it the response is 428; when someone else has changed the object, it is 412 with these changes.
A PUT has all fields, a PATCH only what changes. Unknown fields are refused.

`GET /api/v1/live` upgrades to a WebSocket whose text frames are `LiveMessage` objects. A browser may send
`Watch` objects, which say what it shows: single machines' syncs are told only for those. Any other frame
closes the socket with 4400."""


class LiveMessage(
    RootModel[
        Annotated[
            Hello | Lagged | MachineChanged | SyncProgress | SyncSummary | EventSeen | RuleChanged,
            Field(discriminator="type"),
        ]
    ]
):
    """One text frame of the live channel."""


def operation_id(route: APIRoute) -> str:
    """Name operations after their function, so that clients get readable names."""
    return route.name


def build(app: FastAPI) -> dict[str, Any]:
    """Return the document of `app`."""
    document = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    schemas: dict[str, Any] = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, ours = models_json_schema(
        [
            (ProblemBody, "serialization"),
            (ConfirmQuestion, "serialization"),
            (LiveMessage, "serialization"),
            (Watch, "validation"),
        ],
        ref_template=TEMPLATE,
    )
    for name, schema in ours["$defs"].items():
        schemas.setdefault(name, schema)
    for path in document["paths"].values():
        for operation in path.values():
            _describe_problems(operation)
            _demand_if_match(operation)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def _describe_problems(operation: dict[str, Any]) -> None:
    problem = {PROBLEM_TYPE: {"schema": {"$ref": TEMPLATE.format(model="ProblemBody")}}}
    for status, response in operation["responses"].items():
        if int(status) >= 400:  # noqa: PLR2004 - the failing half of HTTP
            response["content"] = problem


def _demand_if_match(operation: dict[str, Any]) -> None:
    """Say that the header is required: the framework would answer 422 without it, not 428."""
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "If-Match":
            parameter["required"] = True
            parameter["schema"] = {"type": "string"}


def dumps(document: dict[str, Any]) -> str:
    """Write the document in its committed form."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
