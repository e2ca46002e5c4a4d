"""Creates and changes users; gives and takes roles. One administrator always stays."""

import asyncio
from datetime import datetime
from typing import Any

from santaserver.audit import SYSTEM, Actor
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.names import name_key
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.permissions import Role
from santaserver.preconditions import IfMatch, entity_tag
from santaserver.stale import Version, check
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import (
    binding_repository,
    repository,
    role_names,
    session_repository,
    setup_repository,
)
from santaserver.users.account_schemas import OwnRole, UserAccount, UserCreate, UserSource, UserUpdate
from santaserver.users.administrators import administrators_kept, is_managed, lock_roles
from santaserver.users.authority import check_not_above
from santaserver.users.binding_repository import Holder
from santaserver.users.password_rules import check_password_rules
from santaserver.users.passwords import hash_password
from santaserver.users.repository import NewUser, UserRow
from santaserver.users.service import normalise_username

NO_USER = "There is no such user"
NO_PASSWORD = "A service account has no password: create an API token for it"  # noqa: S105 - a sentence
NO_LOCAL_LOGIN = (
    "This user signs in through the identity provider and has no password here. Create another user, with a "
    "password, for when the provider is down"
)


async def list_users(connection: Connection, cursor: str | None, limit: int, text: str) -> Page[UserAccount]:
    """Return a page of users by name."""
    key = decode_cursor(cursor, (str,))
    rows = await repository.list_users(connection, str(key[0]) if key else "", limit + 1, text)
    following = encode_cursor((rows[limit - 1].username,)) if len(rows) > limit else None
    return Page(items=[shown(row) for row in rows[:limit]], next_cursor=following)


async def get_user(connection: Connection, user_id: int) -> UserAccount:
    """Return one user."""
    return shown(await find(connection, user_id))


async def create_user(work: UnitOfWork, wanted: UserCreate, by: User | None, now: datetime) -> UserAccount:
    """Create a user; `by` is who asks, nobody on the command line."""
    connection = work.connection
    username = normalise_username(wanted.username)
    if not name_key(username):
        raise wrong_field("username", "The user name is blank")
    if wanted.password is not None:
        if wanted.kind == "service":
            raise wrong_field("password", NO_PASSWORD)
        check_password_rules("password", wanted.password, (username, wanted.display_name))
    hashed = None if wanted.password is None else await asyncio.to_thread(hash_password, wanted.password)
    await lock_roles(connection)
    roles = await role_names.resolved(connection, wanted.roles, by)
    name = wanted.display_name.strip() or wanted.username.strip()
    user_id = await repository.add_user(connection, NewUser(username, name, hashed, wanted.kind), now)
    if user_id is None:
        raise await _name_taken(connection, username)
    holder = Holder("user", user_id)
    await binding_repository.replace_roles(connection, holder, roles, None if by is None else by.id, now)
    if await is_managed(connection):
        await setup_repository.delete_first(connection)
    created = await get_user(connection, user_id)
    work.audit(_actor(by), now, "user_created", ("user", str(user_id)), None, _plain(created))
    return created


async def update_user(
    work: UnitOfWork, user_id: int, wanted: UserUpdate, expected: IfMatch, by: User | None, now: datetime
) -> UserAccount:
    """Change a user; what is None stays."""
    hashed = None
    if wanted.password is not None:
        known = await find(work.connection, user_id)
        check_password_rules("password", wanted.password, (known.username, known.display_name))
        hashed = await asyncio.to_thread(hash_password, wanted.password)
    async with administrators_kept(work):
        row = await find(work.connection, user_id)
        before = shown(row)
        await check(work.connection, expected, Version("user", user_id, _state(row), before))
        check_not_above(by, row)
        await _check_provider(work.connection, row, wanted)
        await _change(work.connection, row, wanted, hashed, by, now)
    after = await get_user(work.connection, user_id)
    _record(work, before, after, _actor(by), now, password=hashed is not None)
    return after


async def _change(
    connection: Connection,
    row: UserRow,
    wanted: UserUpdate,
    hashed: str | None,
    by: User | None,
    now: datetime,
) -> None:
    if wanted.display_name is not None:
        await repository.set_display_name(connection, row.id, wanted.display_name.strip() or row.username)
    if hashed is not None:
        await repository.set_password(connection, row.id, hashed)
        await repository.forget_failures(connection, row.username)
        await setup_repository.delete_of_user(connection, row.id)
    if wanted.disabled is not None and wanted.disabled != (row.disabled_at is not None):
        await repository.set_disabled(connection, row.id, now if wanted.disabled else None)
    if wanted.roles is not None:
        roles = await role_names.resolved(connection, wanted.roles, by)
        holder, author = Holder("user", row.id), None if by is None else by.id
        if await binding_repository.replace_roles(connection, holder, roles, author, now):
            await session_repository.renew_all(connection, row.id)
    if hashed is not None or wanted.disabled:
        await repository.end_sessions(connection, row.id)


async def delete_user(
    work: UnitOfWork, user_id: int, expected: IfMatch, by: User | None, now: datetime
) -> None:
    """Delete a user with its sessions and tokens. What the user did stays in the audit log, with the name."""
    connection = work.connection
    async with administrators_kept(work):
        row = await find(connection, user_id)
        before = shown(row)
        await check(connection, expected, Version("user", user_id, _state(row), before))
        check_not_above(by, row)
        await repository.end_sessions(connection, user_id)
        await repository.delete_user(connection, user_id)
    work.audit(_actor(by), now, "user_removed", ("user", str(user_id)), _plain(before))


async def _check_provider(connection: Connection, row: UserRow, wanted: UserUpdate) -> None:
    """Refuse to change here what the identity provider says of a user, and what does not fit the kind."""
    if row.kind == "service" and wanted.password is not None:
        raise wrong_field("password", NO_PASSWORD)
    if wanted.password is not None and (row.from_provider or row.from_scim):
        raise Conflict(NO_LOCAL_LOGIN)
    if wanted.roles is None:
        return
    kept = {grant.role.lower() for grant in wanted.roles if grant.tag is None}
    given = await binding_repository.provider_roles(connection, row.id) or []
    taken = [role for role in given if role not in kept]
    if taken:
        raise Conflict(f"The identity provider gives the role {', '.join(taken)}: take it away there")


async def create_admin(work: UnitOfWork, user: NewUser, actor: Actor, now: datetime) -> None:
    """Create an administrator, or give an existing account that role and this password."""
    connection = work.connection
    await lock_roles(connection)
    before = await repository.find_by_name(connection, user.username)
    if before is not None and (before.from_provider or before.from_scim):
        raise Conflict(NO_LOCAL_LOGIN)
    if before is None and await repository.namesake(connection, user.username) is not None:
        raise await _name_taken(connection, user.username)
    user_id = await repository.upsert_user(connection, user, Role.ADMIN, now)
    await setup_repository.delete_first(connection)
    after = await get_user(connection, user_id)
    if before is None:
        work.audit(actor, now, "user_created", ("user", str(user_id)), None, _plain(after))
    else:
        _record(work, shown(before), after, actor, now, password=True)


def shown(row: UserRow) -> UserAccount:
    """Return a user as the interface shows it."""
    return UserAccount(
        id=row.id,
        username=row.username,
        display_name=row.display_name,
        kind="service" if row.kind == "service" else "person",
        created_at=row.created_at,
        has_password=row.has_password,
        second_factor=row.second_factor,
        setup_until=row.setup_until,
        disabled=row.disabled_at is not None,
        deprovisioned=row.deprovisioned_at is not None,
        source=_source(row),
        signed_in_at=row.signed_in_at,
        roles=[OwnRole(role=one.role, tag=one.tag_name, from_provider=one.from_provider) for one in row.own],
        groups=row.groups,
        etag=entity_tag("user", row.id, *_state(row).values()),
    )


def _source(row: UserRow) -> UserSource:
    if row.from_scim:
        return "scim"
    return "provider" if row.from_provider else "local"


def _state(row: UserRow) -> dict[str, Any]:
    """Return what can be changed of a user, by the names of the audit log."""
    return {
        "display_name": row.display_name,
        "disabled": row.disabled_at is not None,
        "roles": [
            {"role": one.role, "tag": one.tag_name, "from_provider": one.from_provider} for one in row.own
        ],
        "password": row.password_digest,
    }


async def find(connection: Connection, user_id: int) -> UserRow:
    """Return one user as it is stored; raise `NotFound` when there is none."""
    row = await repository.find_user(connection, user_id)
    if row is None:
        raise NotFound(NO_USER)
    return row


async def _name_taken(connection: Connection, username: str) -> Conflict:
    other = await repository.namesake(connection, username)
    if other is None or other == username:
        return Conflict("There is already a user with this name")
    return Conflict(f"There is already the user {other}, whose name looks like this one")


def _actor(by: User | None) -> Actor:
    return SYSTEM if by is None else by.actor


def _record(
    work: UnitOfWork, before: UserAccount, after: UserAccount, actor: Actor, now: datetime, *, password: bool
) -> None:
    if before == after and not password:
        return
    stored = _plain(after) | ({"password_changed": True} if password else {})
    work.audit(actor, now, "user_changed", ("user", str(after.id)), _plain(before), stored)


def _plain(user: UserAccount) -> dict[str, Any]:
    left_out = {"created_at", "etag", "second_factor", "setup_until", "signed_in_at"}
    return user.model_dump(mode="json", exclude=left_out)
