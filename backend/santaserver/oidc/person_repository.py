"""People of the identity provider and their roles in the database."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from santaserver.db import Connection
from santaserver.oidc.people import ENTRA, Person
from santaserver.users.repository import add_person, rename_person


class Known(NamedTuple):
    """The account of a person."""

    id: int
    username: str
    display_name: str
    claimed_name: str
    disabled: bool
    withdrawn: bool
    """Whether SCIM said that the person is not active, or deleted the person."""
    provisioned: bool
    """Whether SCIM has told of the person, and keeps the names."""
    linked: bool
    """Whether the person has signed in before."""


_KNOWN = """
select u.id, u.username, u.display_name, coalesce(i.claimed_name, ''), not u.enabled,
  u.deprovisioned_at is not null, s.user_id is not null and s.removed_at is null, i.user_id is not null
from app_user u left join user_identity i on i.user_id = u.id left join scim_user s on s.user_id = u.id
"""


async def find(connection: Connection, person: Person) -> Known | None:
    """Return the account of a person, by what never changes: the id at the provider.

    Whoever signs in for the first time is known if SCIM has told of this id as the `externalId`.
    """
    row = await connection.fetchrow(
        f"{_KNOWN} where i.authority = $1 and i.subject = $2", person.authority, person.subject
    )
    if row is None:
        row = await connection.fetchrow(
            f"""{_KNOWN} where i.user_id is null and lower(s.external_id) = lower($1)
                and (s.external_id = $1 or $2)""",
            person.subject,
            person.authority.startswith(ENTRA),
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
    if known.display_name != person.display_name and not known.provisioned:
        await connection.execute(
            "update app_user set display_name = $2 where id = $1", known.id, person.display_name
        )
    if known.claimed_name != person.username and not known.provisioned:
        await rename_person(connection, known.id, person.username, person.subject)
    await connection.execute(
        "update user_identity set claimed_name = $2, signed_in_at = $3 where user_id = $1",
        known.id,
        person.username,
        now,
    )


async def set_provider_roles(
    connection: Connection, user_id: int, roles: Collection[str], now: datetime
) -> bool:
    """Give a person exactly these roles by the provider, those given here stay; True for a change."""
    stored = await connection.fetch("select role from binding where user_id = $1 and from_provider", user_id)
    if {row["role"] for row in stored} == set(roles):
        return False  # a change of roles makes every worker read its sessions again
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
    return True
