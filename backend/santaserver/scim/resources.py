"""Which resource a request is about, and what is done with it (RFC 7644, 3.2)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

from msgspec import structs
from starlette.exceptions import HTTPException

from santaserver.db import Connection
from santaserver.scim import discovery, group_service, user_service
from santaserver.scim.attributes import ResourceKind
from santaserver.scim.calls import Answer, Call
from santaserver.scim.errors import INVALID_FILTER, ScimError, not_found
from santaserver.scim.group_repository import GroupRow
from santaserver.scim.listing import Search, listed, search_in, search_of
from santaserver.scim.projection import Projection, projected, projection_of
from santaserver.scim.schemas import GROUP, MEMBERS, USER
from santaserver.scim.user_repository import UserRow
from santaserver.scim.user_service import Found
from santaserver.scim.values import Resource
from santaserver.scim.versions import is_known, tag_of
from santaserver.unit_of_work import UnitOfWork

SEARCH = ".search"
UNSUPPORTED = frozenset({"bulk", "me"})
DISCOVERY = frozenset({"serviceproviderconfig", "resourcetypes", "schemas"})

Row = UserRow | GroupRow
Change = Callable[[UnitOfWork, Call, str], Awaitable[Any]]


class Verbs(NamedTuple):
    """What can be done with resources of one kind."""

    kind: ResourceKind
    get: Callable[[Connection, str], Awaitable[Any]]
    search: Callable[[Connection, Search, str], Awaitable[Found]]
    create: Callable[[UnitOfWork, Call], Awaitable[Any]]
    replace: Change
    patch: Change
    remove: Change


KINDS = {
    "users": Verbs(
        USER,
        user_service.get,
        user_service.search,
        user_service.create,
        user_service.replace,
        user_service.patch,
        user_service.remove,
    ),
    "groups": Verbs(
        GROUP,
        group_service.get,
        group_service.search,
        group_service.create,
        group_service.replace,
        group_service.patch,
        group_service.remove,
    ),
}


def check(method: str, parts: Sequence[str]) -> None:
    """Raise an error for a path or a method that there is not."""
    name, rest = parts[0].lower() if parts else "", parts[1:]
    if name in UNSUPPORTED and not rest:
        raise HTTPException(
            HTTPStatus.NOT_IMPLEMENTED, f"/{name} is not supported: see /ServiceProviderConfig"
        )
    allowed: tuple[str, ...]
    if name in KINDS and not rest:
        allowed = ("GET", "POST")
    elif (name in KINDS and rest == (SEARCH,)) or parts == (SEARCH,):
        allowed = ("POST",)
    elif name in KINDS and len(rest) == 1:
        allowed = ("GET", "PUT", "PATCH", "DELETE")
    elif not name or (name in DISCOVERY and len(rest) <= 1):
        allowed = ("GET",)
    else:
        raise not_found("resource")
    if method not in allowed:
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(allowed)})


async def answer(call: Call) -> Answer:
    """Carry out a request whose path and method were checked."""
    name, rest = call.parts[0].lower() if call.parts else "", call.parts[1:]
    if name in KINDS:
        verbs = KINDS[name]
        if rest == (SEARCH,):
            return await _search(call, verbs, search_in(verbs.kind, call.body))
        return await (_single(call, verbs, rest[0]) if rest else _collection(call, verbs))
    if name in {SEARCH, ""}:
        return await _search_all(call)
    return _discovered(call, name, rest)


def _discovered(call: Call, name: str, rest: Sequence[str]) -> Answer:
    if name == "serviceproviderconfig":
        if rest:
            raise not_found("resource")
        return Answer(HTTPStatus.OK, discovery.configuration(call.base))
    every = discovery.schemas(call.base) if name == "schemas" else discovery.resource_types(call.base)
    if not rest:
        if "filter" in call.parameters:
            raise HTTPException(HTTPStatus.FORBIDDEN, "There is no filter here (RFC 7644, section 4)")
        return Answer(HTTPStatus.OK, listed(every, len(every), 1))
    found = next((one for one in every if one["id"].lower() == rest[0].lower()), None)
    if found is None:
        raise not_found("resource")
    return Answer(HTTPStatus.OK, found)


async def _search_all(call: Call) -> Answer:
    """Search people and groups: what a filter cannot be about is not found by it."""
    searches, refusal = [], None
    for verbs in KINDS.values():
        try:
            told = call.parameters if call.method == "GET" else None
            wanted = search_of(verbs.kind, told) if told is not None else search_in(verbs.kind, call.body)
            searches.append((verbs, wanted))
        except ScimError as error:
            if error.kind != INVALID_FILTER:
                raise
            refusal = error
    if refusal is not None and not searches:
        raise refusal
    resources: list[Resource] = []
    total = 0
    async with call.state.database.read(_key(call)) as connection:
        for verbs, wanted in searches:
            left = structs.replace(
                wanted, start=max(wanted.start - total, 1), count=wanted.count - len(resources)
            )
            found = await verbs.search(connection, left, call.base)
            total += found.total
            resources += [projected(verbs.kind, one, wanted.shown) for one in found.resources]
    return Answer(HTTPStatus.OK, listed(resources, total, searches[0][1].start))


async def _collection(call: Call, verbs: Verbs) -> Answer:
    if call.method == "GET":
        return await _search(call, verbs, search_of(verbs.kind, call.parameters))
    shown = _shown(call, verbs.kind)
    async with _work(call) as work:
        row = await verbs.create(work, call)
        return await _of(work.connection, call, verbs.kind, row, shown, HTTPStatus.CREATED)


async def _search(call: Call, verbs: Verbs, wanted: Search) -> Answer:
    async with call.state.database.read(_key(call)) as connection:
        found = await verbs.search(connection, wanted, call.base)
    resources = [projected(verbs.kind, one, wanted.shown) for one in found.resources]
    return Answer(HTTPStatus.OK, listed(resources, found.total, wanted.start))


async def _single(call: Call, verbs: Verbs, scim_id: str) -> Answer:
    shown = _shown(call, verbs.kind)
    if call.method == "GET":
        async with call.state.database.read(_key(call)) as connection:
            row = await verbs.get(connection, scim_id)
            return await _of(connection, call, verbs.kind, row, shown)
    async with _work(call) as work:
        if call.method == "DELETE":
            await verbs.remove(work, call, scim_id)
            return Answer(HTTPStatus.NO_CONTENT)
        row = await (verbs.replace if call.method == "PUT" else verbs.patch)(work, call, scim_id)
        if call.method == "PATCH" and verbs.kind is GROUP and "attributes" not in call.parameters:
            # As Entra expects; and a group of thousands is not sent back for each member.
            return Answer(HTTPStatus.NO_CONTENT, headers={"ETag": _tag(row)})
        return await _of(work.connection, call, verbs.kind, row, shown)


async def _of(
    connection: Connection,
    call: Call,
    kind: ResourceKind,
    row: Row,
    shown: Projection,
    status: HTTPStatus = HTTPStatus.OK,
) -> Answer:
    if call.method == "GET" and is_known(call.fields, _tag(row)):
        return Answer(HTTPStatus.NOT_MODIFIED, headers={"ETag": _tag(row)})
    resource = await _resource(connection, call, row, shown)
    headers = {"ETag": _tag(row), "Location": resource["meta"]["location"]}
    return Answer(status, projected(kind, resource, shown), headers)


async def _resource(connection: Connection, call: Call, row: Row, shown: Projection) -> Resource:
    if isinstance(row, UserRow):
        return user_service.shown(row, call.base)
    members = shown.shows(MEMBERS.name)
    return await group_service.resource(connection, row, call.base, members=members)


def _tag(row: Row) -> str:
    return tag_of(row.version)


def _shown(call: Call, kind: ResourceKind) -> Projection:
    return projection_of(kind, call.parameters.get("attributes"), call.parameters.get("excludedAttributes"))


def _key(call: Call) -> str:
    return f"scim {call.token}"


@asynccontextmanager
async def _work(call: Call) -> AsyncIterator[UnitOfWork]:
    state = call.state
    async with state.database.unit_of_work(state.bus.publish, _key(call), call.info) as work:
        yield work
    if work.accounts_changed:
        state.sessions.ended()  # this worker does not wait for PostgreSQL's notification
