"""Makes and changes groups and gives them roles. One administrator always stays."""

from datetime import datetime
from typing import Any

from santaserver.current_user import Grant, User
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.groups import repository
from santaserver.groups.repository import GroupRow, NewGroup, Source
from santaserver.groups.schemas import Group, GroupCreate, GroupUpdate
from santaserver.identity_checks import group_key
from santaserver.names import name_key
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.preconditions import IfMatch, entity_tag
from santaserver.stale import Version, check
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import role_names
from santaserver.users.administrators import administrators_kept
from santaserver.users.authority import check_bindings
from santaserver.users.binding_repository import Holder, replace_roles

NO_GROUP = "There is no such group"
TAKEN = "There is already such a group with this name, one that looks like it, or this external id"
BY_SCIM = "This group is kept by SCIM: change its name and members at the identity provider"
NOT_GONE = "This group is kept by SCIM: remove it at the identity provider; here you can take its roles"
LOCAL_ID = "A local group has no external id: add its members here"
NEEDS_ID = "Give the id of the group, or the value of the app role, at the identity provider"


async def list_groups(
    connection: Connection, cursor: str | None, limit: int, text: str, source: Source | None
) -> Page[Group]:
    """Return a page of groups."""
    key = decode_cursor(cursor, (int,))
    after = int(key[0]) if key else 0
    rows = await repository.list_groups(connection, after, limit + 1, text, source)
    following = encode_cursor((rows[limit - 1].id,)) if len(rows) > limit else None
    return Page(items=[shown(row) for row in rows[:limit]], next_cursor=following)


async def get_group(connection: Connection, group_id: int) -> Group:
    """Return one group."""
    return shown(await find(connection, group_id))


async def create_group(work: UnitOfWork, wanted: GroupCreate, by: User, now: datetime) -> Group:
    """Make a group."""
    connection = work.connection
    name = _name(wanted.name)
    external_id = _external_id(wanted.source, wanted.external_id)
    async with administrators_kept(work):
        new = NewGroup(wanted.source, name, external_id, wanted.description, by.id)
        group_id = await repository.add_group(connection, new, now)
        if group_id is None:
            raise Conflict(TAKEN)
        roles = await role_names.resolved(connection, wanted.roles, by)
        await replace_roles(connection, Holder("group", group_id), roles, by.id, now)
    created = await get_group(connection, group_id)
    work.audit(by.actor, now, "group_created", ("group", str(group_id)), None, plain(created))
    return created


async def update_group(
    work: UnitOfWork, group_id: int, wanted: GroupUpdate, expected: IfMatch, by: User, now: datetime
) -> Group:
    """Change a group; what is None stays."""
    connection = work.connection
    async with administrators_kept(work):
        row = await find(connection, group_id)
        before = shown(row)
        await check(connection, expected, Version("group", group_id, _state(row), before))
        check_bindings(by, row.name, row.bindings)
        await _rename(connection, row, wanted, now)
        if wanted.roles is not None:
            roles = await role_names.resolved(connection, wanted.roles, by)
            if await replace_roles(connection, Holder("group", group_id), roles, by.id, now):
                await repository.renew_sessions(connection, group_id)
    after = await get_group(connection, group_id)
    if before != after:
        work.audit(by.actor, now, "group_changed", ("group", str(group_id)), plain(before), plain(after))
    return after


async def _rename(connection: Connection, row: GroupRow, wanted: GroupUpdate, now: datetime) -> None:
    name = row.name if wanted.name is None else _name(wanted.name)
    description = row.description if wanted.description is None else wanted.description
    external_id = row.external_id
    if wanted.external_id is not None and wanted.external_id != row.external_id:
        external_id = _external_id(row.source, wanted.external_id)
    if row.source == "scim" and (name, external_id) != (row.name, row.external_id):
        raise Conflict(BY_SCIM)
    if (name, description, external_id) == (row.name, row.description, row.external_id):
        return
    if not await repository.update_group(connection, row.id, name, external_id, description, now):
        raise Conflict(TAKEN)
    if external_id != row.external_id:
        # Its members were those whom the provider told of under the former id.
        await repository.replace_members(connection, row.id, (), now)


async def delete_group(work: UnitOfWork, group_id: int, expected: IfMatch, by: User, now: datetime) -> None:
    """Delete a group; its members lose its roles."""
    connection = work.connection
    async with administrators_kept(work):
        row = await find(connection, group_id)
        before = shown(row)
        await check(connection, expected, Version("group", group_id, _state(row), before))
        if row.source == "scim":
            raise Conflict(NOT_GONE)
        check_bindings(by, row.name, row.bindings)
        await repository.delete_group(connection, group_id)
    work.audit(by.actor, now, "group_removed", ("group", str(group_id)), plain(before))


def shown(row: GroupRow) -> Group:
    """Return a group as the interface shows it."""
    return Group(
        id=row.id,
        source=row.source,
        external_id=row.external_id,
        name=row.name,
        description=row.description,
        created_at=row.created_at,
        members=row.members,
        roles=[Grant(role=one.role, tag=one.tag_name) for one in row.bindings],
        etag=entity_tag("group", row.id, *_state(row).values()),
    )


def _state(row: GroupRow) -> dict[str, Any]:
    """Return what can be changed of a group, by the names of the audit log."""
    return {
        "name": row.name,
        "external_id": row.external_id,
        "description": row.description,
        "roles": [{"role": one.role, "tag": one.tag_name} for one in row.bindings],
    }


async def find(connection: Connection, group_id: int) -> GroupRow:
    """Return one group as it is stored; raise `NotFound` when there is none."""
    row = await repository.find_group(connection, group_id)
    if row is None:
        raise NotFound(NO_GROUP)
    return row


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name_key(name):
        raise wrong_field("name", "The name is blank")
    return name


def _external_id(source: Source, text: str | None) -> str | None:
    if source == "local":
        if text is not None:
            raise wrong_field("external_id", LOCAL_ID)
        return None
    if text is None or not text.strip():
        raise wrong_field("external_id", NEEDS_ID)
    return group_key(text.strip())


def plain(group: Group) -> dict[str, Any]:
    """Return what the audit log says of a group."""
    return group.model_dump(mode="json", exclude={"id", "created_at", "members", "etag"})
