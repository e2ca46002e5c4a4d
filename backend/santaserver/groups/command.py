"""`santaserver user join-group|leave-group`: the members of local groups, managed without the console."""

import argparse

from santaserver.clock import system_clock
from santaserver.db import Connection, Database
from santaserver.errors import NotFound
from santaserver.groups import member_service, repository
from santaserver.outbox import discard
from santaserver.settings import Settings
from santaserver.users import account_service
from santaserver.users import repository as users
from santaserver.users.service import normalise_username

SHOWN = 50
"""Groups that an error lists."""


async def run(settings: Settings, arguments: argparse.Namespace) -> None:
    """Carry out one command; raise `Problem` when it is refused."""
    change = {"join-group": member_service.add_member, "leave-group": member_service.remove_member}[
        arguments.action
    ]
    database = Database(settings.database)
    try:
        async with database.unit_of_work(discard) as work:
            user = await users.find_by_name(work.connection, normalise_username(arguments.username))
            if user is None:
                raise NotFound(account_service.NO_USER)
            group = await _group(work.connection, arguments.group)
            await change(work, group, user.id, None, system_clock())
    finally:
        await database.close()


async def _group(connection: Connection, name: str) -> int:
    """Return the id of a local group; raise `NotFound` with those that there are."""
    group = await repository.find_by_name(connection, "local", name)
    if group is not None:
        return group.id
    rows = await repository.list_groups(connection, 0, SHOWN + 1, source="local")
    known = ", ".join(row.name for row in rows[:SHOWN]) or "none"
    more = ", and more" if len(rows) > SHOWN else ""
    raise NotFound(f"There is no local group {name}; local groups: {known}{more}")
