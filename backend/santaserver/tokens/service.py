"""Creates, rotates and revokes API tokens."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from santaserver.audit import Actor
from santaserver.current_user import User, user_with
from santaserver.db import Connection
from santaserver.errors import Conflict, Forbidden, NotFound, wrong_field
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.permissions import TAG_SCOPED, Permission
from santaserver.tokens import repository
from santaserver.tokens.limits import NEVER
from santaserver.tokens.repository import NewToken, TokenRow
from santaserver.tokens.schemas import PreviousSecret, Token, TokenCreate, TokenRotate, TokenSecret
from santaserver.tokens.secret import SHOWN, OwnerKind, hash_token, new_token
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import repository as users
from santaserver.users.administrators import lock_roles
from santaserver.users.authority import check_not_above
from santaserver.users.binding_repository import tags_by_name
from santaserver.users.bindings import bindings_of
from santaserver.users.repository import UserRow

LONGEST = timedelta(days=366)
LONGEST_OVERLAP = timedelta(days=30)
MOST = 50
"""Tokens of one owner."""
NO_TOKEN = "There is no such token"  # noqa: S105 - a sentence
NOT_YOURS = "A person's tokens are made and renewed by that person only; you can revoke them"


async def list_tokens(
    connection: Connection, owner: int | None, kind: OwnerKind | None, cursor: str | None, limit: int
) -> Page[Token]:
    """Return a page of tokens: of one user, or of all owners of a kind."""
    key = decode_cursor(cursor, (int,))
    after = int(key[0]) if key else 0
    rows = await repository.list_tokens(connection, owner, kind, after, limit + 1)
    following = encode_cursor((rows[limit - 1].id,)) if len(rows) > limit else None
    return Page(items=[shown(row) for row in rows[:limit]], next_cursor=following)


async def get_token(connection: Connection, token: int, user: User) -> Token:
    """Return a token of the user, or with `user:read` any."""
    return shown(await _find(connection, token, user, Permission.USER_READ))


async def create_token(work: UnitOfWork, wanted: TokenCreate, user: User, now: datetime) -> TokenSecret:
    """Create a token for the user, or for a service account."""
    owner = user.id if wanted.user_id is None else wanted.user_id
    return await create_for(work, wanted, owner, user.actor, now, by=user)


async def create_for(
    work: UnitOfWork, wanted: TokenCreate, owner_id: int, actor: Actor, now: datetime, by: User | None = None
) -> TokenSecret:
    """Create a token; `by` is the person who asks, nobody on the command line."""
    connection = work.connection
    await lock_roles(connection)
    owner = await users.find_user(connection, owner_id)
    if owner is None or (by is not None and owner.kind == "person" and owner.id != by.id):
        raise NotFound("There is no such service account")
    check_not_above(by, owner)
    check_end(wanted.expires_at, now)
    tags = await _tags(connection, wanted, owner)
    if await repository.count_tokens(connection, owner.id) >= MOST:
        raise Conflict(f"{owner.username} has {MOST} tokens already: revoke those that are not used any more")
    secret = new_token(_kind(owner.kind))
    new = NewToken(
        user_id=owner.id,
        name=wanted.name.strip() or wanted.name,
        hint=secret[:SHOWN],
        secret_hash=hash_token(secret),
        permissions=sorted({str(one) for one in wanted.permissions}),
        tag_ids=tags,
        networks=list(dict.fromkeys(wanted.networks)),
        created_at=now,
        created_by=None if by is None else by.id,
        expires_at=wanted.expires_at,
    )
    number = await repository.add_token(connection, new)
    if number is None:
        raise Conflict(f"{owner.username} has a token of this name already")
    created = await _read(connection, number)
    work.audit(actor, now, "token_created", ("token", str(number)), None, _plain(created))
    return TokenSecret(token=created, secret=secret)


async def rotate_token(
    work: UnitOfWork, token: int, wanted: TokenRotate, user: User, now: datetime
) -> TokenSecret:
    """Give a token of the user, or of a service account, another secret."""
    row = await _find(work.connection, token, user, Permission.USER_WRITE)
    if row.kind == "person" and row.user_id != user.id:
        raise Forbidden(NOT_YOURS)
    await lock_roles(work.connection)
    owner = await users.find_user(work.connection, row.user_id)
    if owner is not None:
        check_not_above(user, owner)
    return await rotate_found(work, token, wanted, user.actor, now)


async def rotate_found(
    work: UnitOfWork, token: int, wanted: TokenRotate, actor: Actor, now: datetime
) -> TokenSecret:
    """Give a token another secret; the present one stays valid for a while, if that is wanted."""
    connection = work.connection
    await repository.lock_token(connection, token)
    before = await _read(connection, token)
    if before.revoked:
        raise Conflict("This token was revoked; create another one")
    expires_at = wanted.expires_at or before.expires_at
    check_end(expires_at, now)
    until = wanted.previous_valid_until
    if until is not None and not now < until <= now + LONGEST_OVERLAP:
        raise wrong_field("previous_valid_until", "The time must be in the next 30 days")
    secret = new_token(before.owner_kind)
    await repository.rotate_token(
        connection,
        token,
        hash_token(secret),
        secret[:SHOWN],
        now,
        expires_at,
        None if until is None else min(until, before.expires_at),
    )
    work.accounts_changed = True
    after = await _read(connection, token)
    work.audit(actor, now, "token_rotated", ("token", str(token)), _plain(before), _plain(after))
    return TokenSecret(token=after, secret=secret)


async def revoke_token(work: UnitOfWork, token: int, user: User, now: datetime) -> None:
    """Revoke a token of the user, or with `user:write` any."""
    await _find(work.connection, token, user, Permission.USER_WRITE)
    await revoke_found(work, token, user.actor, now)


async def revoke_found(work: UnitOfWork, token: int, actor: Actor, now: datetime) -> None:
    """Revoke a token for good."""
    await repository.lock_token(work.connection, token)
    before = await _read(work.connection, token)
    if not await repository.revoke_token(work.connection, token, now):
        return
    work.accounts_changed = True
    after = await _read(work.connection, token)
    work.audit(actor, now, "token_revoked", ("token", str(token)), _plain(before), _plain(after))


def shown(row: TokenRow) -> Token:
    """Return a token as the interface shows it."""
    previous = None
    if row.previous_until is not None:
        previous = PreviousSecret(valid_until=row.previous_until, last_used_at=row.previous_used_at)
    return Token(
        id=row.id,
        name=row.name,
        hint=row.hint,
        user_id=row.user_id,
        username=row.username,
        owner_kind=_kind(row.kind),
        owner_disabled=not row.enabled,
        permissions=row.permissions,
        tags=None if row.tag_ids is None else row.tag_names,
        networks=row.networks,
        created_at=row.created_at,
        created_by=row.created_by,
        rotated_at=row.rotated_at,
        expires_at=row.expires_at,
        revoked=row.revoked_at is not None,
        last_used_at=row.last_used_at,
        last_address=row.last_address,
        previous=previous,
    )


def _kind(kind: str) -> OwnerKind:
    return "service" if kind == "service" else "person"


async def _find(connection: Connection, token: int, user: User, permission: Permission) -> TokenRow:
    """Return a token of the user, or any with a permission; for others there is none."""
    row = await repository.read_token(connection, token)
    if row is None or (row.user_id != user.id and not user.may(permission)):
        raise NotFound(NO_TOKEN)
    return row


async def _read(connection: Connection, token: int) -> Token:
    row = await repository.read_token(connection, token)
    if row is None:
        raise NotFound(NO_TOKEN)
    return shown(row)


def check_end(expires_at: datetime, now: datetime) -> None:
    """Raise a problem for a token that would end too late, or has ended."""
    if not now < expires_at <= now + LONGEST:
        raise wrong_field("expires_at", "The time must be in the next 366 days")


async def _tags(connection: Connection, wanted: TokenCreate, owner: UserRow) -> list[int] | None:
    """Return the ids of the tags; refuse what the owner may not do, and what a token never may."""
    never = _names(one for one in wanted.permissions if one in NEVER)
    if never:
        raise wrong_field("permissions", f"No token can have {never}: it could outlast its own revocation")
    holder = user_with(owner.id, owner.username, owner.display_name, bindings_of(owner.all_bindings))
    missing = _names(one for one in wanted.permissions if holder.scope_of(one) is None)
    if missing:
        raise wrong_field("permissions", f"{owner.username} does not have {missing}, so no token can")
    if wanted.tags is None:
        return None
    whole = _names(one for one in wanted.permissions if one not in TAG_SCOPED)
    if whole:
        raise wrong_field(
            "permissions", f"{whole} concerns the whole installation: a token with tags cannot have it"
        )
    known = await tags_by_name(connection, wanted.tags)
    unknown = sorted({name for name in wanted.tags if name.lower() not in known})
    if unknown:
        raise wrong_field("tags", f"There is no tag {', '.join(unknown)}")
    _check_reach(holder, wanted.permissions, known)
    return sorted(set(known.values()))


def _check_reach(holder: User, permissions: Iterable[Permission], tags: dict[str, int]) -> None:
    for permission in permissions:
        scope = holder.scope_of(permission)
        outside = sorted(name for name, tag in tags.items() if scope is not None and not scope.covers(tag))
        if outside:
            raise wrong_field(
                "tags", f"{holder.username} has {permission} not for {', '.join(outside)}, so a token cannot"
            )


def _names(permissions: Iterable[Permission]) -> str:
    return ", ".join(sorted(permissions))


def _plain(token: Token) -> dict[str, Any]:
    left_out: Collection[str] = {"last_used_at", "last_address", "owner_disabled"}
    return token.model_dump(mode="json", exclude=set(left_out))
