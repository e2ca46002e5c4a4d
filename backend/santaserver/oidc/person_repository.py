"""People of the identity provider and their roles in the database."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from santaserver.db import Connection
from santaserver.oidc.people import Person
from santaserver.users.repository import add_person, rename_person


class Known(NamedTuple):
    """The account of a person."""

    id: int
    username: str
    display_name: str
    claimed_name: str
    disabled: bool


async def find(connection: Connection, person: Person) -> Known | None:
    """Return the account of a person, by what never changes."""
    row = await connection.fetchrow(
        """select u.id, u.username, u.display_name, i.claimed_name, not u.enabled
           from user_identity i join app_user u on u.id = i.user_id
           where i.authority = $1 and i.subject = $2""",
        person.authority,
        person.subject,
    )
    return Known(*row) if row else None


async def add(connection: Connection, person: Person, now: datetime) -> int:
    """Create the account of a person, without password and roles; return its id."""
    number = await add_person(connection, person.username, person.display_name, person.subject, now)
    await link(connection, number, person, now)
    return number


async def link(connection: Connection, user_id: int, person: Person, now: datetime) -> None:
    """Say that an account is this person's."""
    await connection.execute(
        """insert into user_identity (user_id, authority, subject, claimed_name, signed_in_at)
           values ($1, $2, $3, $4, $5)""",
        user_id,
        person.authority,
        person.subject,
        person.username,
        now,
    )


async def refresh(connection: Connection, known: Known, person: Person, now: datetime) -> None:
    """Take over the names that the provider has for a person now."""
    if known.display_name != person.display_name:
        await connection.execute(
            "update app_user set display_name = $2 where id = $1", known.id, person.display_name
        )
    if known.claimed_name != person.username:
        await rename_person(connection, known.id, person.username, person.subject)
    await connection.execute(
        "update user_identity set claimed_name = $2, signed_in_at = $3 where user_id = $1",
        known.id,
        person.username,
        now,
    )


async def set_provider_roles(
    connection: Connection, user_id: int, roles: Collection[str], now: datetime
) -> None:
    """Give a person exactly these roles by the provider; those given here stay."""
    stored = await connection.fetch("select role from binding where user_id = $1 and from_provider", user_id)
    if {row["role"] for row in stored} == set(roles):
        return  # a change of roles makes every worker read its sessions again
    await connection.execute(
        "delete from binding where user_id = $1 and from_provider and role <> all($2)",
        user_id,
        list(roles),
    )
    await connection.execute(
        """insert into binding (user_id, role, created_at, from_provider)
           select $1, role, $3, true from unnest($2::text[]) r (role) on conflict do nothing""",
        user_id,
        sorted(roles),
        now,
    )
