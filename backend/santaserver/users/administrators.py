"""One administrator always stays, whatever is changed: users, roles, groups, what a provider says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from santaserver.db import Connection
from santaserver.errors import Conflict
from santaserver.unit_of_work import UnitOfWork

LAST_ADMIN = (
    "Nobody could manage this server any more: no other enabled user with a password has the role admin "
    "everywhere. Give it to another user first"
)
LAST_MANAGER = (
    "Nobody could manage this server any more: no other enabled user has the role admin everywhere. "
    "Give it to another user first, best to one with a password, for when the identity provider is down"
)
_ADMINISTRATORS = """
from user_binding b join app_user u on u.id = b.user_id
where b.role = 'admin' and b.tag_id is null and u.enabled and u.kind = 'person'
"""


class Administrators(NamedTuple):
    """Who can manage the server."""

    with_password: bool
    """Whether someone can who needs no identity provider."""
    anybody: bool


async def lock_roles(connection: Connection) -> None:
    """Let no other transaction change roles, groups or users before this one ends."""
    await connection.execute("lock table binding in share row exclusive mode")


async def administrators(connection: Connection) -> Administrators:
    """Return whether there are administrators: enabled people with the role admin everywhere."""
    row = await connection.fetchrow(
        f"select coalesce(bool_or(u.password_hash is not null), false), count(*) > 0 {_ADMINISTRATORS}"
    )
    return Administrators(*(row or (False, False)))


async def is_managed(connection: Connection) -> bool:
    """Tell whether there is an administrator, whatever the administrator logs in with."""
    return (await administrators(connection)).anybody


@asynccontextmanager
async def administrators_kept(work: UnitOfWork) -> AsyncIterator[None]:
    """Lock roles, groups and users for a change of them; raise `Conflict` if the last administrator went.

    Everything that a request reads in order to decide about the change is read inside.
    """
    await lock_roles(work.connection)
    before = await administrators(work.connection)
    work.accounts_changed = True
    yield
    after = await administrators(work.connection)
    if before.with_password and not after.with_password:
        raise Conflict(LAST_ADMIN)
    if before.anybody and not after.anybody:
        raise Conflict(LAST_MANAGER)
