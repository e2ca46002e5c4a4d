"""`santaserver user …`: users and their roles, managed without the console."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence

from santaserver.clock import system_clock
from santaserver.current_user import Grant
from santaserver.db import Connection, Database
from santaserver.errors import NotFound
from santaserver.outbox import discard
from santaserver.permissions import Role
from santaserver.preconditions import ANY
from santaserver.roles.repository import list_roles, roles_by_name
from santaserver.settings import Settings
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import account_service as service
from santaserver.users import repository, second_factor_service
from santaserver.users.account_schemas import RoleGrant, UserCreate, UserUpdate
from santaserver.users.administrators import lock_roles
from santaserver.users.service import normalise_username

PAGE = 500


async def run(settings: Settings, arguments: argparse.Namespace, password: str | None) -> None:
    """Carry out one command; raise `Problem` when it is refused."""
    database = Database(settings.database)
    try:
        if arguments.action == "list":
            async with database.read() as connection:
                await _list(connection)
            return
        async with database.unit_of_work(discard) as work:
            await ACTIONS[arguments.action](work, arguments, password)
    finally:
        await database.close()


async def _list(connection: Connection) -> None:
    after = ""
    while rows := await repository.list_users(connection, after, PAGE, ""):
        for row in rows:
            user = service.shown(row)
            roles = ",".join(_shown(grant) for grant in user.roles) or "-"
            state = "disabled" if user.disabled else "enabled"
            sys.stdout.write(f"{user.id}\t{user.username}\t{state}\t{roles}\n")
        after = rows[-1].username


async def _create(work: UnitOfWork, arguments: argparse.Namespace, password: str | None) -> None:
    wanted = UserCreate(
        username=arguments.username,
        display_name=arguments.display_name,
        password=password or "",
        roles=_grants(await _role(work.connection, arguments.role), arguments.tag),
    )
    await service.create_user(work, wanted, None, system_clock())


async def _set_password(work: UnitOfWork, arguments: argparse.Namespace, password: str | None) -> None:
    await _update(work, arguments.username, UserUpdate(password=password))


async def _reset_second_factor(work: UnitOfWork, arguments: argparse.Namespace, _: str | None) -> None:
    row = await _find(work.connection, arguments.username)
    await second_factor_service.reset(work, row.id, None, system_clock())


async def _disable(work: UnitOfWork, arguments: argparse.Namespace, _: str | None) -> None:
    await _update(work, arguments.username, UserUpdate(disabled=True))


async def _enable(work: UnitOfWork, arguments: argparse.Namespace, _: str | None) -> None:
    await _update(work, arguments.username, UserUpdate(disabled=False))


async def _grant(work: UnitOfWork, arguments: argparse.Namespace, _: str | None) -> None:
    given = _grants(await _role(work.connection, arguments.role), arguments.tag)
    await _change_roles(work, arguments.username, lambda held: [*held, *given])


async def _revoke(work: UnitOfWork, arguments: argparse.Namespace, _: str | None) -> None:
    tags: list[str | None] = arguments.tag or [None]
    role = await _role(work.connection, arguments.role)
    taken = {(role, tag and tag.lower()) for tag in tags}

    def rest(held: list[RoleGrant]) -> list[RoleGrant]:
        kept = [one for one in held if (one.role, one.tag and one.tag.lower()) not in taken]
        if len(kept) == len(held):
            raise NotFound("The user does not have this role")
        return kept

    await _change_roles(work, arguments.username, rest)


async def _change_roles(
    work: UnitOfWork, username: str, change: Callable[[list[RoleGrant]], list[RoleGrant]]
) -> None:
    await lock_roles(work.connection)
    row = await _find(work.connection, username)
    held = [RoleGrant(role=one.role, tag=one.tag_name) for one in row.own if one.permissions is not None]
    await _update(work, username, UserUpdate(roles=change(held)))


async def _update(work: UnitOfWork, username: str, wanted: UserUpdate) -> None:
    row = await _find(work.connection, username)
    await service.update_user(work, row.id, wanted, ANY, None, system_clock())


async def _find(connection: Connection, username: str) -> repository.UserRow:
    row = await repository.find_by_name(connection, normalise_username(username))
    if row is None:
        raise NotFound(service.NO_USER)
    return row


async def _role(connection: Connection, name: str | None) -> str | None:
    """Return the name of a role as it is stored; raise `NotFound` with those that there are."""
    if name is None:
        return None
    found = await roles_by_name(connection, [name])
    if not found:
        own = [one.name for one in await list_roles(connection)]
        raise NotFound(f"There is no role {name}; there are {', '.join([*Role, *own])}")
    return found[name.lower()].name


def _grants(role: str | None, tags: Sequence[str | None] | None) -> list[RoleGrant]:
    if role is None:
        return []
    return [RoleGrant(role=role, tag=tag) for tag in tags or (None,)]


def _shown(grant: Grant) -> str:
    return grant.role if grant.tag is None else f"{grant.role}@{grant.tag}"


ACTIONS: dict[str, Callable[[UnitOfWork, argparse.Namespace, str | None], Awaitable[None]]] = {
    "create": _create,
    "set-password": _set_password,
    "reset-second-factor": _reset_second_factor,
    "disable": _disable,
    "enable": _enable,
    "grant": _grant,
    "revoke": _revoke,
}
