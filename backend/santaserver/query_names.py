"""Refuses query parameters that an endpoint does not have; they are probably mistakes."""

from collections.abc import Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection

from santaserver.errors import UNKNOWN, FieldProblem, Unprocessable

_KNOWN: dict[Callable[..., Any], frozenset[str]] = {}


async def check_query(request: HTTPConnection) -> None:
    """Raise `Unprocessable` naming the parameters that the endpoint does not know."""
    if not request.scope["query_string"]:
        return
    route: APIRoute = request.scope["route"]
    known = _KNOWN.get(route.endpoint)
    if known is None:
        known = _KNOWN[route.endpoint] = _parameters(route)
    unknown = request.query_params.keys() - known
    if unknown:
        errors = tuple(FieldProblem(field=name[:200], message=UNKNOWN) for name in sorted(unknown))
        raise Unprocessable("The request has unknown parameters", errors=errors)


def _parameters(route: APIRoute) -> frozenset[str]:
    names: set[str] = set()
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        names.update(field.alias for field in dependant.query_params)
        waiting += dependant.dependencies
    return frozenset(names)
