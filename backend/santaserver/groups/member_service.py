"""Adds users to local groups, and takes them out."""

from datetime import datetime

from santaserver.audit import SYSTEM, Actor
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound
from santaserver.groups import repository
from santaserver.groups.repository import GroupRow
from santaserver.groups.schemas import GroupMember
from santaserver.groups.service import BY_SCIM, find
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import account_service
from santaserver.users.administrators import administrators_kept
from santaserver.users.authority import check_bindings

BY_SIGN_IN = (
    "The identity provider tells of the members of this group when they sign in: add people to the group, or "
    "give them the app role, there"
)


async def list_members(
    connection: Connection, group_id: int, cursor: str | None, limit: int
) -> Page[GroupMember]:
    """Return a page of members."""
    await find(connection, group_id)
    key = decode_cursor(cursor, (int,))
    rows = await repository.list_members(connection, group_id, int(key[0]) if key else 0, limit + 1)
    following = encode_cursor((rows[limit - 1].id,)) if len(rows) > limit else None
    items = [
        GroupMember(
            id=row.id,
            username=row.username,
            display_name=row.display_name,
            enabled=row.enabled,
            added_at=row.added_at,
        )
        for row in rows[:limit]
    ]
    return Page(items=items, next_cursor=following)


async def add_member(work: UnitOfWork, group_id: int, user_id: int, by: User | None, now: datetime) -> None:
    """Add a user; nothing happens when the user is in the group."""
    async with administrators_kept(work):
        group = await _changeable(work.connection, group_id, by)
        user = await account_service.find(work.connection, user_id)
        added = await repository.add_members(work.connection, group_id, [user_id], now)
    if added:
        after = {"name": group.name, "user": user.username, "user_id": user_id}
        work.audit(_actor(by), now, "group_member_added", ("group", str(group_id)), None, after)


async def remove_member(
    work: UnitOfWork, group_id: int, user_id: int, by: User | None, now: datetime
) -> None:
    """Take a user out of a group."""
    async with administrators_kept(work):
        group = await _changeable(work.connection, group_id, by)
        user = await account_service.find(work.connection, user_id)
        if not await repository.remove_members(work.connection, group_id, [user_id]):
            raise NotFound("This user is not in the group")
    before = {"name": group.name, "user": user.username, "user_id": user_id}
    work.audit(_actor(by), now, "group_member_removed", ("group", str(group_id)), before)


def _actor(by: User | None) -> Actor:
    return SYSTEM if by is None else by.actor


async def _changeable(connection: Connection, group_id: int, by: User | None) -> GroupRow:
    group = await find(connection, group_id)
    if group.source != "local":
        raise Conflict(BY_SCIM if group.source == "scim" else BY_SIGN_IN)
    check_bindings(by, group.name, group.bindings)
    return group
