"""Makes and changes custom roles. None contains what its maker does not have."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import Conflict, Forbidden, NotFound
from santaserver.permissions import (
    MEANING,
    PERMISSIONS,
    PURPOSE,
    TAG_SCOPED,
    Permission,
    Role,
    known_permissions,
    known_role,
)
from santaserver.preconditions import IfMatch, entity_tag
from santaserver.roles import repository
from santaserver.roles.repository import RoleRow
from santaserver.roles.schemas import PermissionInfo, RoleCreate, RoleInfo, RoleList, RoleUpdate
from santaserver.scope import EVERYWHERE
from santaserver.stale import Version, check
from santaserver.unit_of_work import UnitOfWork
from santaserver.users.administrators import administrators_kept
from santaserver.users.authority import lacking

MOST = 100
"""Custom roles: more are a sign that tags are meant."""
NAMED = 10
NO_ROLE = "There is no such role; those that come with the program cannot be changed"


async def list_roles(connection: Connection) -> RoleList:
    """Return all roles and permissions."""
    counts = await repository.count_holders(connection)
    builtin = [_builtin(role, *counts.get(role, (0, 0))) for role in Role]
    custom = [shown(row) for row in await repository.list_roles(connection)]
    permissions = [
        PermissionInfo(name=one, meaning=MEANING[one], tag_scoped=one in TAG_SCOPED) for one in Permission
    ]
    return RoleList(items=[*builtin, *custom], permissions=permissions)


async def get_role(connection: Connection, role_id: int) -> RoleInfo:
    """Return one custom role."""
    return shown(await _find(connection, role_id))


async def create_role(work: UnitOfWork, wanted: RoleCreate, by: User, now: datetime) -> RoleInfo:
    """Make a role."""
    connection = work.connection
    name = wanted.name.strip()
    _check_own(by, wanted.permissions)
    async with administrators_kept(work):
        _check_builtin(name)
        if await repository.count_roles(connection) >= MOST:
            raise Conflict(f"There are {MOST} roles already: remove those that nobody has")
        permissions = _names(wanted.permissions)
        role_id = await repository.add_role(connection, name, wanted.description, permissions, by.id, now)
        if role_id is None:
            raise Conflict("There is already a role with this name")
    created = await get_role(connection, role_id)
    work.audit(by.actor, now, "role_created", ("role", str(role_id)), None, _plain(created))
    return created


async def update_role(
    work: UnitOfWork, role_id: int, wanted: RoleUpdate, expected: IfMatch, by: User, now: datetime
) -> RoleInfo:
    """Change a role, and with it what everybody may do who has it."""
    connection = work.connection
    async with administrators_kept(work):
        row = await _find(connection, role_id)
        before = shown(row)
        await check(connection, expected, Version("role", role_id, _state(row), before))
        _check_own(by, before.permissions)
        if wanted.permissions is not None:
            _check_own(by, wanted.permissions)
        name = row.name if wanted.name is None else wanted.name.strip()
        _check_builtin(name)
        if await repository.is_name_taken(connection, name, role_id):
            raise Conflict("There is already a role with this name")
        description = row.description if wanted.description is None else wanted.description
        permissions = row.permissions if wanted.permissions is None else _names(wanted.permissions)
        await repository.update_role(connection, role_id, name, description, permissions, now)
        if set(permissions) != set(row.permissions):
            await repository.renew_sessions(connection, role_id)
    after = await get_role(connection, role_id)
    if before != after:
        work.audit(by.actor, now, "role_changed", ("role", str(role_id)), _plain(before), _plain(after))
    return after


async def delete_role(work: UnitOfWork, role_id: int, expected: IfMatch, by: User, now: datetime) -> None:
    """Delete a role that nobody has."""
    connection = work.connection
    async with administrators_kept(work):
        row = await _find(connection, role_id)
        before = shown(row)
        await check(connection, expected, Version("role", role_id, _state(row), before))
        _check_own(by, before.permissions)
        holders = await repository.holders(connection, role_id, NAMED + 1)
        if holders:
            named = ", ".join(holders[:NAMED]) + (" and others" if len(holders) > NAMED else "")
            raise Conflict(f"The role is in use: take it from {named} first")
        await repository.delete_role(connection, role_id)
    work.audit(by.actor, now, "role_removed", ("role", str(role_id)), _plain(before))


def shown(row: RoleRow) -> RoleInfo:
    """Return a custom role as the interface shows it."""
    known = known_permissions(row.permissions)
    return RoleInfo(
        id=row.id,
        name=row.name,
        description=row.description,
        permissions=_ordered(known),
        unknown=sorted(set(row.permissions) - known),
        users=row.users,
        groups=row.groups,
        created_at=row.created_at,
        created_by=row.created_by,
        etag=entity_tag("role", row.id, *_state(row).values()),
    )


def _builtin(role: Role, users: int, groups: int) -> RoleInfo:
    return RoleInfo(
        id=None,
        name=role,
        description=PURPOSE[role],
        permissions=_ordered(PERMISSIONS[role]),
        unknown=[],
        users=users,
        groups=groups,
        created_at=None,
        created_by=None,
        etag="",
    )


def _state(row: RoleRow) -> dict[str, Any]:
    return {"name": row.name, "description": row.description, "permissions": sorted(row.permissions)}


async def _find(connection: Connection, role_id: int) -> RoleRow:
    row = await repository.find_role(connection, role_id)
    if row is None:
        raise NotFound(NO_ROLE)
    return row


def _check_own(by: User, permissions: Sequence[Permission]) -> None:
    if missing := lacking(by, dict.fromkeys(permissions, EVERYWHERE)):
        raise Forbidden(f"You do not have {missing} everywhere, so you cannot make or change a role with it")


def _check_builtin(name: str) -> None:
    if known_role(name.lower()):
        raise Conflict(f"The role {name.lower()} comes with the program: choose another name")


def _names(permissions: Collection[Permission]) -> list[str]:
    return sorted({str(one) for one in permissions})


def _ordered(permissions: Collection[Permission]) -> list[Permission]:
    return [one for one in Permission if one in permissions]


def _plain(role: RoleInfo) -> dict[str, Any]:
    return {
        "name": role.name,
        "description": role.description,
        "permissions": sorted([*role.permissions, *role.unknown]),
    }
