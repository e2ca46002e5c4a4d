"""Creates and changes users; gives and takes roles. One administrator always stays."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from santaserver.audit import Actor
from santaserver.current_user import Grant
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.permissions import Role
from santaserver.preconditions import IfMatch, entity_tag
from santaserver.stale import Version, check
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import repository, session_repository, setup_repository
from santaserver.users.account_schemas import RoleGrant, UserAccount, UserCreate, UserUpdate
from santaserver.users.password_rules import check_password_rules
from santaserver.users.passwords import hash_password
from santaserver.users.repository import NewUser, UserRow
from santaserver.users.service import normalise_username

NO_USER = "There is no such user"
NO_PASSWORD = "A service account has no password: create an API token for it"  # noqa: S105 - a sentence
LAST_ADMIN = (
    "Nobody could manage this server any more: no other enabled user with a password has the role admin "
    "everywhere. Give it to another user first"
)
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
    return shown(await _find(connection, user_id))


async def create_user(work: UnitOfWork, wanted: UserCreate, actor: Actor, now: datetime) -> UserAccount:
    """Create a user with a password."""
    connection = work.connection
    username = normalise_username(wanted.username)
    if not username:
        raise wrong_field("username", "The user name is blank")
    if wanted.password is not None:
        if wanted.kind == "service":
            raise wrong_field("password", NO_PASSWORD)
        check_password_rules("password", wanted.password, (username, wanted.display_name))
    hashed = None if wanted.password is None else await asyncio.to_thread(hash_password, wanted.password)
    await repository.lock_roles(connection)
    roles = await _resolved(connection, wanted.roles)
    name = wanted.display_name.strip() or wanted.username.strip()
    user_id = await repository.add_user(connection, NewUser(username, name, hashed, wanted.kind), now)
    if user_id is None:
        raise Conflict("There is already a user with this name")
    await repository.replace_roles(connection, user_id, roles, actor.id, now)
    if await repository.is_managed(connection):
        await setup_repository.delete_first(connection)
    created = await get_user(connection, user_id)
    work.audit(actor, now, "user_created", ("user", str(user_id)), None, _plain(created))
    return created


async def update_user(
    work: UnitOfWork, user_id: int, wanted: UserUpdate, expected: IfMatch, actor: Actor, now: datetime
) -> UserAccount:
    """Change a user; what is None stays."""
    connection = work.connection
    work.accounts_changed = True
    hashed = None
    if wanted.password is not None:
        known = await _find(connection, user_id)
        check_password_rules("password", wanted.password, (known.username, known.display_name))
        hashed = await asyncio.to_thread(hash_password, wanted.password)
    await repository.lock_roles(connection)
    row = await _find(connection, user_id)
    before = shown(row)
    await check(connection, expected, Version("user", user_id, _state(row), before))
    if row.kind == "service" and hashed is not None:
        raise wrong_field("password", NO_PASSWORD)
    if wanted.display_name is not None:
        await repository.set_display_name(connection, user_id, wanted.display_name.strip() or before.username)
    await _check_provider(connection, user_id, wanted)
    if hashed is not None:
        await repository.set_password(connection, user_id, hashed)
        await repository.forget_failures(connection, before.username)
        await setup_repository.delete_of_user(connection, user_id)
    if wanted.disabled is not None and wanted.disabled != before.disabled:
        await repository.set_disabled(connection, user_id, now if wanted.disabled else None)
    if wanted.roles is not None:
        roles = await _resolved(connection, wanted.roles)
        await repository.replace_roles(connection, user_id, roles, actor.id, now)
        if set(roles) != set(zip(row.roles, row.tags, strict=True)):
            await session_repository.renew_all(connection, user_id)
    if hashed is not None or wanted.disabled:
        await repository.end_sessions(connection, user_id)
    if not await repository.has_administrator(connection):
        raise Conflict(LAST_ADMIN)
    after = await get_user(connection, user_id)
    _record(work, before, after, actor, now, password=hashed is not None)
    return after


async def delete_user(work: UnitOfWork, user_id: int, expected: IfMatch, actor: Actor, now: datetime) -> None:
    """Delete a user with its sessions and tokens. What the user did stays in the audit log, with the name."""
    connection = work.connection
    work.accounts_changed = True
    await repository.lock_roles(connection)
    row = await _find(connection, user_id)
    before = shown(row)
    await check(connection, expected, Version("user", user_id, _state(row), before))
    await repository.end_sessions(connection, user_id)
    await repository.delete_user(connection, user_id)
    if not await repository.has_administrator(connection):
        raise Conflict(LAST_ADMIN)
    work.audit(actor, now, "user_removed", ("user", str(user_id)), _plain(before))


async def _check_provider(connection: Connection, user_id: int, wanted: UserUpdate) -> None:
    """Refuse to change here what the identity provider says of a user."""
    given = await repository.provider_roles(connection, user_id)
    if given is None:
        return
    if wanted.password is not None:
        raise Conflict(NO_LOCAL_LOGIN)
    kept = None if wanted.roles is None else {grant.role for grant in wanted.roles if grant.tag is None}
    taken = [] if kept is None else [role for role in given if role not in kept]
    if taken:
        raise Conflict(f"The identity provider gives the role {', '.join(taken)}: take it away there")


async def create_admin(work: UnitOfWork, user: NewUser, actor: Actor, now: datetime) -> None:
    """Create an administrator, or give an existing account that role and this password."""
    connection = work.connection
    await repository.lock_roles(connection)
    before = await repository.find_by_name(connection, user.username)
    if before is not None and await repository.provider_roles(connection, before.id) is not None:
        raise Conflict(NO_LOCAL_LOGIN)
    user_id = await repository.upsert_user(connection, user, Role.ADMIN, now)
    await setup_repository.delete_first(connection)
    after = await get_user(connection, user_id)
    if before is None:
        work.audit(actor, now, "user_created", ("user", str(user_id)), None, _plain(after))
    else:
        _record(work, shown(before), after, actor, now, password=True)


def shown(row: UserRow) -> UserAccount:
    """Return a user as the interface shows it."""
    roles = [Grant(role=role, tag=tag) for role, tag in zip(row.roles, row.tag_names, strict=True)]
    return UserAccount(
        id=row.id,
        username=row.username,
        display_name=row.display_name,
        kind="service" if row.kind == "service" else "person",
        created_at=row.created_at,
        has_password=row.has_password,
        setup_until=row.setup_until,
        disabled=row.disabled_at is not None,
        roles=roles,
        etag=entity_tag("user", row.id, *_state(row).values()),
    )


def _state(row: UserRow) -> dict[str, Any]:
    """Return what can be changed of a user, by the names of the audit log."""
    roles = [{"role": role, "tag": tag} for role, tag in zip(row.roles, row.tag_names, strict=True)]
    return {
        "display_name": row.display_name,
        "disabled": row.disabled_at is not None,
        "roles": roles,
        "password": row.password_digest,
    }


async def _find(connection: Connection, user_id: int) -> UserRow:
    row = await repository.find_user(connection, user_id)
    if row is None:
        raise NotFound(NO_USER)
    return row


async def _resolved(connection: Connection, wanted: Sequence[RoleGrant]) -> list[tuple[str, int | None]]:
    """Return roles with the ids of their tags, each once."""
    names = [grant.tag for grant in wanted if grant.tag is not None]
    tags = await repository.tags_by_name(connection, names) if names else {}
    unknown = sorted({name for name in names if name.lower() not in tags})
    if unknown:
        raise wrong_field("roles", f"There is no tag {', '.join(unknown)}")
    found = [(str(grant.role), None if grant.tag is None else tags[grant.tag.lower()]) for grant in wanted]
    return list(dict.fromkeys(found))


def _record(
    work: UnitOfWork, before: UserAccount, after: UserAccount, actor: Actor, now: datetime, *, password: bool
) -> None:
    if before == after and not password:
        return
    stored = _plain(after) | ({"password_changed": True} if password else {})
    work.audit(actor, now, "user_changed", ("user", str(after.id)), _plain(before), stored)


def _plain(user: UserAccount) -> dict[str, Any]:
    return user.model_dump(mode="json", exclude={"created_at", "etag", "setup_until"})
