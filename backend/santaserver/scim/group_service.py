"""Groups, as the directory creates, fills and removes them. Which roles they give is said here."""

from collections.abc import Collection, Sequence
from typing import Any

from santaserver.audit import Target
from santaserver.db import Connection
from santaserver.groups import repository as groups
from santaserver.names import name_key
from santaserver.scim import group_repository as repository
from santaserver.scim import user_repository as people
from santaserver.scim.calls import Call
from santaserver.scim.errors import INVALID_VALUE, MUTABILITY, ScimError, conflict, not_found, quoted
from santaserver.scim.filters import All, Compare, Filter, Not, Present, Some, Values
from santaserver.scim.group_repository import GroupRow, Member
from santaserver.scim.listing import Search
from santaserver.scim.lookup import hint_of
from santaserver.scim.matching import Budget, matches
from santaserver.scim.members import Members, member_ids
from santaserver.scim.operations import operations_of
from santaserver.scim.patch import apply
from santaserver.scim.schemas import GROUP, GROUP_URN, MEMBERS
from santaserver.scim.user_service import Found, moment
from santaserver.scim.values import Resource, check_required, resource_of
from santaserver.scim.versions import check_version, tag_of
from santaserver.unit_of_work import UnitOfWork
from santaserver.users.administrators import administrators_kept

MAX_NAME = 200
BATCH = 50
MAX_LISTED = 20_000
"""Members in one response to a search; groups that would exceed it come with the next one."""
TAKEN = "Another group has this displayName or externalId"
MAX_AUDITED = 200
"""Members whose names are in an audit entry."""


def shown(row: GroupRow, members: Sequence[Member], base: str) -> Resource:
    """Return a group as a resource."""
    users = [{"value": one.scim_id, "$ref": f"{base}/Users/{one.scim_id}", "type": "User"} for one in members]
    return {
        "schemas": [GROUP_URN],
        "id": row.scim_id,
        **({"externalId": row.external_id} if row.external_id else {}),
        "displayName": row.name,
        **({"members": users} if users else {}),
        "meta": {
            "resourceType": "Group",
            "created": moment(row.created_at),
            "lastModified": moment(row.updated_at),
            "location": f"{base}/Groups/{row.scim_id}",
            "version": tag_of(row.version),
        },
    }


async def get(connection: Connection, scim_id: str) -> GroupRow:
    """Return a group."""
    row = await repository.find(connection, scim_id)
    if row is None:
        raise not_found("group")
    return row


async def resource(connection: Connection, row: GroupRow, base: str, *, members: bool) -> Resource:
    """Return a group as a resource, with its members if they are wanted."""
    found = await repository.members(connection, [row.group_id]) if members else {}
    return shown(row, found.get(row.group_id, ()), base)


async def search(connection: Connection, wanted: Search, base: str) -> Found:
    """Return those groups that a search wants to see; fewer, when they have very many members."""
    if wanted.found is None:
        total = await repository.count(connection)
        rows = []
        if wanted.start <= total and wanted.count:
            rows = await repository.page(connection, wanted.start - 1, wanted.count)
    else:
        total, rows = await _matching(connection, wanted, wanted.found, base)
    if not wanted.shown.shows(MEMBERS.name):
        return Found([shown(row, (), base) for row in rows], total)
    rows = await _fitting(connection, rows)
    members = await repository.members(connection, [row.group_id for row in rows])
    return Found([shown(row, members[row.group_id], base) for row in rows], total)


async def _matching(
    connection: Connection, wanted: Search, found: Filter, base: str
) -> tuple[int, list[GroupRow]]:
    hint, budget, after = hint_of(found, "displayName"), Budget(), 0
    asks, total = _asks_members(found), 0
    kept: list[GroupRow] = []
    while rows := await repository.hinted(connection, hint, after, BATCH):
        after = rows[-1].group_id
        members = await repository.members(connection, [row.group_id for row in rows]) if asks else {}
        for row in rows:
            if matches(found, shown(row, members.get(row.group_id, ()), base), budget):
                total += 1
                if wanted.start <= total < wanted.start + wanted.count:
                    kept.append(row)
    return total, kept


async def _fitting(connection: Connection, rows: list[GroupRow]) -> list[GroupRow]:
    """Return as many of the groups as one response may have with their members, and at least one."""
    sizes = await repository.sizes(connection, [row.group_id for row in rows])
    total, fitting = 0, 0
    for row in rows:
        total += sizes.get(row.group_id, 0)
        if fitting and total > MAX_LISTED:
            break
        fitting += 1
    return rows[:fitting]


def _asks_members(found: Filter) -> bool:
    match found:
        case All(terms) | Some(terms):
            return any(_asks_members(term) for term in terms)
        case Not(inner):
            return _asks_members(inner)
        case Compare(reference) | Present(reference) | Values(reference):
            return reference.attribute is MEMBERS


async def create(work: UnitOfWork, call: Call) -> GroupRow:
    """Create a group, with its first members if there are any."""
    connection = work.connection
    told = resource_of(GROUP, call.body, apart=(MEMBERS.name,))
    wanted = list(dict.fromkeys(member_ids(_members(call.body))))
    async with administrators_kept(work):
        await _check_unique(connection, told, None)
        new = groups.NewGroup("scim", told["displayName"], told.get("externalId"))
        group = await groups.add_group(connection, new, call.now)
        if group is None:
            raise conflict(TAKEN)
        row = await get(connection, await repository.add(connection, group))
        users = await _users(connection, wanted)
        await groups.add_members(connection, group, users.values(), call.now)
        await repository.touch_members(connection, users.values())
    after = _plain(row) | _counted("members_added", wanted)
    work.audit(call.actor, call.now, "group_created", ("group", str(group)), None, after)
    return row


def _members(body: Any) -> Any:  # noqa: ANN401 - JSON
    return next((value for name, value in body.items() if name.lower() == MEMBERS.name), None)


async def replace(work: UnitOfWork, call: Call, scim_id: str) -> GroupRow:
    """Give a group other names and members: all of them. Without `members`, it has none."""
    told = resource_of(GROUP, call.body, apart=(MEMBERS.name,))
    wanted = list(dict.fromkeys(member_ids(_members(call.body))))
    async with administrators_kept(work):
        before = await get(work.connection, scim_id)
        check_version(call.fields, before.version)
        known = await _member_ids(work.connection, before)
        return await _change(work, call, before, told, known, wanted)


async def patch(work: UnitOfWork, call: Call, scim_id: str) -> GroupRow:
    """Change the names of a group, or some members."""
    operations = operations_of(GROUP, call.body)
    async with administrators_kept(work):
        before = await get(work.connection, scim_id)
        check_version(call.fields, before.version)
        told, budget = _writable(before), Budget()
        known = await _member_ids(work.connection, before)
        members = Members(known, budget)
        for operation in operations:
            if operation.path.attribute is MEMBERS:
                members.apply(operation)
            else:
                apply(told, operation, budget)
        removed = any(one.verb == "remove" and one.path.attribute.required for one in operations)
        check_required(GROUP, told, MUTABILITY if removed else INVALID_VALUE)
        return await _change(work, call, before, told, known, members.ids)


async def remove(work: UnitOfWork, call: Call, scim_id: str) -> None:
    """Remove a group; its members lose the roles that it gave."""
    connection = work.connection
    async with administrators_kept(work):
        row = await get(connection, scim_id)
        check_version(call.fields, row.version)
        members = await groups.list_members(connection, row.group_id)
        await repository.touch_members(connection, [one.id for one in members])
        await groups.delete_group(connection, row.group_id)
    work.audit(call.actor, call.now, "group_removed", ("group", str(row.group_id)), _plain(row))


async def _change(
    work: UnitOfWork,
    call: Call,
    before: GroupRow,
    told: Resource,
    known: Sequence[str],
    wanted: Sequence[str],
) -> GroupRow:
    """Store what differs; `known` and `wanted` are members."""
    had, has = set(known), set(wanted)
    added, removed = [one for one in wanted if one not in had], [one for one in known if one not in has]
    if told == _writable(before) and not (added or removed):
        return before
    connection, group = work.connection, before.group_id
    await _check_unique(connection, told, group)
    users = await _users(connection, added)
    leaving = await people.user_ids(connection, removed)
    await groups.add_members(connection, group, users.values(), call.now)
    await groups.remove_members(connection, group, leaving.values())
    name, external_id = told["displayName"], told.get("externalId")
    if not await groups.update_group(connection, group, name, external_id, before.description, call.now):
        raise conflict(TAKEN)
    await _touch(connection, before, told, [*users.values(), *leaving.values()])
    after = await get(connection, before.scim_id)
    changes = _counted("members_added", added) | _counted("members_removed", removed)
    target: Target = ("group", str(group))
    work.audit(call.actor, call.now, "group_changed", target, _plain(before), _plain(after) | changes)
    return after


async def _touch(connection: Connection, before: GroupRow, told: Resource, moved: Collection[int]) -> None:
    """Give those people their next version whose groups look different now."""
    await repository.touch(connection, before.group_id)
    if told["displayName"] != before.name:
        moved = {*moved, *(one.id for one in await groups.list_members(connection, before.group_id))}
    await repository.touch_members(connection, moved)


async def _member_ids(connection: Connection, row: GroupRow) -> list[str]:
    return [one.scim_id for one in (await repository.members(connection, [row.group_id]))[row.group_id]]


async def _users(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Return the accounts of new members, all of whom there have to be."""
    found = await people.user_ids(connection, ids) if ids else {}
    unknown = [one for one in ids if one not in found]
    if unknown:
        named = ", ".join(quoted(one) for one in unknown[:3])
        raise ScimError(f"There is no user with the id {named}, so it cannot be a member", INVALID_VALUE)
    return found


async def _check_unique(connection: Connection, told: Resource, besides: int | None) -> None:
    name, external_id = told["displayName"], told.get("externalId")
    if len(name) > MAX_NAME or not name_key(name):
        raise ScimError(f"displayName has to have 1 to {MAX_NAME} characters that can be seen", INVALID_VALUE)
    if await repository.name_taken(connection, name, besides):
        raise conflict(f"There is a group with the displayName {quoted(name)}, or one that looks like it")
    if external_id and await repository.external_id_taken(connection, external_id, besides):
        raise conflict(f"There is a group with the externalId {quoted(external_id)}")


def _writable(row: GroupRow) -> Resource:
    return {"displayName": row.name} | ({"externalId": row.external_id} if row.external_id else {})


def _plain(row: GroupRow) -> dict[str, Any]:
    """Return what the audit log keeps."""
    return {"name": row.name, "external_id": row.external_id}


def _counted(name: str, members: Sequence[str]) -> dict[str, Any]:
    if not members:
        return {}
    return {name: list(members[:MAX_AUDITED]), f"{name}_count": len(members)}
