"""`santaserver token …`: API tokens, managed without the console."""

import argparse
import sys
from datetime import datetime, timedelta

from santaserver import audit
from santaserver.clock import system_clock
from santaserver.db import Connection, Database
from santaserver.errors import NotFound
from santaserver.outbox import discard
from santaserver.permissions import Permission
from santaserver.settings import Settings
from santaserver.tokens import repository, service
from santaserver.tokens.schemas import Token, TokenCreate, TokenRotate
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import repository as users
from santaserver.users.service import normalise_username

PAGE = 500


async def run(settings: Settings, arguments: argparse.Namespace) -> None:
    """Carry out one command; raise `Problem` when it is refused. A secret is printed alone on its line."""
    database = Database(settings.database)
    now = system_clock()
    try:
        if arguments.action == "list":
            async with database.read() as connection:
                await _list(connection, arguments.user)
            return
        async with database.unit_of_work(discard) as work:
            secret = await _change(work, arguments, now)
    finally:
        await database.close()
    if secret is not None:
        sys.stdout.write(secret + "\n")


async def _change(work: UnitOfWork, arguments: argparse.Namespace, now: datetime) -> str | None:
    if arguments.action == "create":
        owner = await _owner(work.connection, arguments.username)
        wanted = TokenCreate(
            name=arguments.name,
            permissions=[Permission(one) for one in arguments.permission],
            tags=arguments.tag,
            networks=arguments.network or [],
            expires_at=now + timedelta(days=arguments.days),
        )
        return (await service.create_for(work, wanted, owner, audit.SYSTEM, now)).secret
    if arguments.action == "rotate":
        overlap = timedelta(hours=arguments.overlap_hours)
        rotation = TokenRotate(
            previous_valid_until=now + overlap if overlap else None,
            expires_at=None if arguments.days is None else now + timedelta(days=arguments.days),
        )
        return (await service.rotate_found(work, arguments.id, rotation, audit.SYSTEM, now)).secret
    await service.revoke_found(work, arguments.id, audit.SYSTEM, now)
    return None


async def _owner(connection: Connection, username: str) -> int:
    row = await users.find_by_name(connection, normalise_username(username))
    if row is None:
        raise NotFound("There is no such user")
    return row.id


async def _list(connection: Connection, username: str | None) -> None:
    owner = None if username is None else await _owner(connection, username)
    after = 0
    while rows := await repository.list_tokens(connection, owner, None, after, PAGE):
        for row in rows:
            sys.stdout.write(_line(service.shown(row)))
        after = rows[-1].id


def _line(token: Token) -> str:
    ends = token.expires_at.isoformat(timespec="seconds")
    used = token.last_used_at.isoformat(timespec="seconds") if token.last_used_at else "never used"
    owner = f"{token.id}\t{token.username}\t{token.name}\t{token.hint}…"
    return f"{owner}\tuntil {ends}\t{used}\t{token.last_address}\n"
