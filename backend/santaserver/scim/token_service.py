"""Creates, rotates and revokes SCIM tokens."""

from datetime import datetime
from typing import Any

from santaserver.audit import Actor
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.scim import token_repository as repository
from santaserver.scim.token_repository import NewToken, TokenRow
from santaserver.scim.token_schemas import ScimToken, ScimTokenCreate, ScimTokenSecret
from santaserver.tokens.schemas import PreviousSecret, TokenRotate
from santaserver.tokens.secret import SCIM, SHOWN, hash_token, new_secret
from santaserver.tokens.service import LONGEST_OVERLAP, check_end
from santaserver.unit_of_work import UnitOfWork
from santaserver.users.authority import check_may_provision

MOST = 20
NO_TOKEN = "There is no such SCIM token"  # noqa: S105 - a sentence


async def list_tokens(connection: Connection, cursor: str | None, limit: int) -> Page[ScimToken]:
    """Return a page of tokens."""
    key = decode_cursor(cursor, (int,))
    rows = await repository.list_tokens(connection, int(key[0]) if key else 0, limit + 1)
    following = encode_cursor((rows[limit - 1].id,)) if len(rows) > limit else None
    return Page(items=[shown(row) for row in rows[:limit]], next_cursor=following)


async def get_token(connection: Connection, token: int) -> ScimToken:
    """Return a token, also a revoked one."""
    return shown(await _read(connection, token))


async def create_token(work: UnitOfWork, wanted: ScimTokenCreate, by: User, now: datetime) -> ScimTokenSecret:
    """Create a token."""
    check_may_provision(by)
    check_end(wanted.expires_at, now)
    if await repository.count_tokens(work.connection) >= MOST:
        raise Conflict(f"There are {MOST} SCIM tokens already: revoke those that are not used any more")
    secret = new_secret(SCIM)
    new = NewToken(
        name=wanted.name.strip() or wanted.name,
        hint=secret[:SHOWN],
        secret_hash=hash_token(secret),
        networks=list(dict.fromkeys(wanted.networks)),
        created_at=now,
        created_by=by.id,
        expires_at=wanted.expires_at,
    )
    number = await repository.add_token(work.connection, new)
    if number is None:
        raise Conflict("There is a SCIM token of this name already")
    created = await get_token(work.connection, number)
    work.audit(by.actor, now, "scim_token_created", ("scim_token", str(number)), None, _plain(created))
    return ScimTokenSecret(token=created, secret=secret)


async def rotate_token(
    work: UnitOfWork, token: int, wanted: TokenRotate, by: User, now: datetime
) -> ScimTokenSecret:
    """Give a token another secret; the present one stays valid for a while, if that is wanted."""
    check_may_provision(by)
    connection = work.connection
    before = shown(await _read(connection, token, lock=True))
    if before.revoked:
        raise Conflict("This token was revoked; create another one")
    expires_at = wanted.expires_at or before.expires_at
    check_end(expires_at, now)
    until = wanted.previous_valid_until
    if until is not None and not now < until <= now + LONGEST_OVERLAP:
        raise wrong_field("previous_valid_until", f"The time must be in the next {LONGEST_OVERLAP.days} days")
    secret = new_secret(SCIM)
    previous = None if until is None else min(until, before.expires_at)
    await repository.rotate_token(
        connection, token, hash_token(secret), secret[:SHOWN], now, expires_at, previous
    )
    after = await get_token(connection, token)
    work.audit(by.actor, now, "scim_token_rotated", ("scim_token", str(token)), _plain(before), _plain(after))
    return ScimTokenSecret(token=after, secret=secret)


async def revoke_token(work: UnitOfWork, token: int, actor: Actor, now: datetime) -> None:
    """Revoke a token for good; the next request with it is refused."""
    before = shown(await _read(work.connection, token, lock=True))
    if not await repository.revoke_token(work.connection, token, now):
        return
    after = await get_token(work.connection, token)
    work.audit(actor, now, "scim_token_revoked", ("scim_token", str(token)), _plain(before), _plain(after))


def shown(row: TokenRow) -> ScimToken:
    """Return a token as the interface shows it."""
    previous = None
    if row.previous_until is not None:
        previous = PreviousSecret(valid_until=row.previous_until, last_used_at=row.previous_used_at)
    return ScimToken(
        id=row.id,
        name=row.name,
        hint=row.hint,
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


async def _read(connection: Connection, token: int, *, lock: bool = False) -> TokenRow:
    row = await repository.read_token(connection, token, lock=lock)
    if row is None:
        raise NotFound(NO_TOKEN)
    return row


def _plain(token: ScimToken) -> dict[str, Any]:
    return token.model_dump(mode="json", exclude={"last_used_at", "last_address"})
