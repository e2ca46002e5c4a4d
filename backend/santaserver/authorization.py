"""What each endpoint asks of its user. Each one declares it; without a declaration nothing starts.

A declaration is a dependency: `require` for a permission, `signed_in` for what everybody may do with what is
their own, `in_person` for what no API token may do, `public` for what needs no account. `checked` is for the
WebSocket, which refuses by a close code.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import Route

from santaserver.current_user import User
from santaserver.deps import CurrentUser, get_connection, get_work, state_of
from santaserver.permissions import TAG_SCOPED, Permission
from santaserver.scope import Scope

DECLARATION = "santaserver_declaration"
OUTSIDE = frozenset(
    {
        "/api/v1/docs",
        "/api/v1/docs/page.css",
        "/api/v1/docs/page.js",
        "/api/v1/openapi.json",
        "/health/detailed",
        "/health/live",
        "/health/ready",
        "/metrics",
    }
)
"""Routes without a user: the description of the interface, and what only the proxy can reach."""


CONNECTING = frozenset({get_connection, get_work})


class Declaration:
    """What an endpoint asks of its user."""

    def __init__(
        self, permission: Permission | None, *, everywhere: bool = False, note: str = "", fresh: bool = False
    ) -> None:
        """Keep what the documentation says."""
        self.fresh = fresh
        self.permission = permission
        self.everywhere = everywhere
        self.note = note


def require(permission: str, *, everywhere: bool = False, fresh: bool = False) -> Any:  # noqa: ANN401 - as `Depends`
    """Declare that an endpoint needs a permission, and return where the user has it: a `Scope`.

    With `everywhere`, a role that is limited to tags is not enough; with `fresh`, neither is an API token or
    a login of long ago.
    """
    wanted = Permission(permission)
    whole = everywhere or wanted not in TAG_SCOPED

    async def scope(user: CurrentUser) -> Scope:
        return user.require(wanted, everywhere=whole)

    async def fresh_scope(user: CurrentUser, request: Request) -> Scope:
        granted = user.require(wanted, everywhere=whole)
        user.require_fresh(state_of(request).clock())
        return granted

    return _declared(fresh_scope if fresh else scope, Declaration(wanted, everywhere=whole, fresh=fresh))


def signed_in(note: str) -> Any:  # noqa: ANN401 - as `Depends`
    """Declare that an endpoint needs a user, whatever the roles; `note` says what it shows."""

    async def user_of_request(user: CurrentUser) -> User:
        return user

    return _declared(user_of_request, Declaration(None, note=f"any user: {note}"))


def in_person(note: str, *, fresh: bool = False) -> Any:  # noqa: ANN401 - as `Depends`
    """Declare that an endpoint needs a user with a session, not a token; with `fresh`, one of just now."""

    async def person(user: CurrentUser, request: Request) -> User:
        if fresh:
            user.require_fresh(state_of(request).clock())
        else:
            user.require_session()
        return user

    return _declared(person, Declaration(None, note=f"any user, no token: {note}", fresh=fresh))


def public(note: str) -> Any:  # noqa: ANN401 - as `Depends`
    """Declare that an endpoint needs no account; `note` says why."""

    async def nobody() -> None:
        return None

    return _declared(nobody, Declaration(None, note=f"public: {note}"))


def checked(permission: Permission) -> Any:  # noqa: ANN401 - as `Depends`
    """Declare a permission that the endpoint checks itself."""

    async def nothing() -> None:
        return None

    return _declared(nothing, Declaration(permission))


def _declared(call: Callable[..., Awaitable[object]], declaration: Declaration) -> Any:  # noqa: ANN401
    setattr(call, DECLARATION, declaration)
    return Depends(call)


def declarations(app: FastAPI) -> Iterator[tuple[RouteContext, list[Declaration]]]:
    """Yield each endpoint with what it declares."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Route) and not hasattr(route.original_route, "dependant"):
            if route.path not in OUTSIDE:
                yield route, []
            continue
        yield route, list(_of(route.dependant))


def _of(dependant: Any) -> Iterator[Declaration]:  # noqa: ANN401 - FastAPI's own tree
    for dependency in dependant.dependencies:
        declared = getattr(dependency.call, DECLARATION, None)
        if declared is not None:
            yield declared
        yield from _of(dependency)


def check_declarations(app: FastAPI) -> None:
    """Refuse to start with an endpoint that anybody could use by mistake."""
    wrong = []
    for route, found in declarations(app):
        if len(found) != 1:
            wrong.append(f"{route.path} has {len(found)} declarations")
        elif _connects_first(route.dependant):
            wrong.append(f"{route.path} asks for a connection before its permission")
    if wrong:
        raise RuntimeError(f"Each endpoint declares one permission, first of all: {', '.join(wrong)}")


def _connects_first(dependant: Any) -> bool:  # noqa: ANN401 - FastAPI's own tree
    for dependency in dependant.dependencies:
        if hasattr(dependency.call, DECLARATION):
            return False
        if dependency.call in CONNECTING:
            return True
    return False
