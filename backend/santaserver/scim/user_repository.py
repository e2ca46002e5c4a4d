"""People whom SCIM has told of, in the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from santaserver.db import Connection
from santaserver.names import name_key
from santaserver.scim.lookup import Hint
from santaserver.scim.values import Resource


class UserRow(Struct, frozen=True):
    """A person as SCIM knows it."""

    scim_id: str
    user_id: int
    user_name: str
    external_id: str | None
    attributes: Resource
    version: int
    created_at: datetime
    updated_at: datetime
    groups: list[tuple[str, str]]
    """(id, name)"""

    @property
    def active(self) -> bool:
        """Whether the directory says so."""
        return self.attributes.get("active") is True


USERS = """
select s.scim_id::text, s.user_id, s.user_name, s.external_id, s.attributes::text, s.version, s.created_at,
  s.updated_at,
  (select coalesce(json_agg(json_build_array(c.scim_id, g.name) order by g.id), '[]')::text
   from user_group_member m join user_group g on g.id = m.group_id join scim_group c on c.group_id = g.id
   where m.user_id = s.user_id)
from scim_user s
where s.removed_at is null
"""
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_GROUPS = msgspec.json.Decoder(list[tuple[str, str]])
HINTED = """
  and ($1::text is null or s.user_name_key = $1) and ($2::text is null or s.external_id = $2)
  and ($3::uuid is null or s.scim_id = $3) and ($4::text is null or s.emails @> array[$4])
"""


def uuid_of(text: str) -> UUID | None:
    """Return an id as it is stored; None for what no resource can have."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def _row(row: Sequence[Any]) -> UserRow:
    values = [*row]
    values[4] = _OBJECT.decode(values[4])
    values[8] = _GROUPS.decode(values[8])
    return UserRow(*values)


async def find(connection: Connection, scim_id: str) -> UserRow | None:
    """Return a person; None for one that SCIM has not told of, or has removed."""
    wanted = uuid_of(scim_id)
    row = None if wanted is None else await connection.fetchrow(f"{USERS} and s.scim_id = $1", wanted)
    return _row(row) if row else None


async def of_account(connection: Connection, user_id: int) -> UserRow | None:
    """Return the person of an account."""
    row = await connection.fetchrow(f"{USERS} and s.user_id = $1", user_id)
    return _row(row) if row else None


async def count(connection: Connection) -> int:
    """Return how many there are."""
    number: int = await connection.fetchval("select count(*) from scim_user where removed_at is null")
    return number


async def page(connection: Connection, offset: int, limit: int) -> list[UserRow]:
    """Return people by their age, from a place on."""
    rows = await connection.fetch(f"{USERS} order by s.user_id offset $1 limit $2", offset, limit)
    return [_row(row) for row in rows]


async def hinted(connection: Connection, hint: Hint, after: int, limit: int) -> list[UserRow]:
    """Return the next of those whom a hint leaves."""
    wanted = None
    if hint.id is not None:
        wanted = uuid_of(hint.id)
        if wanted is None:
            return []
    rows = await connection.fetch(
        f"{USERS} {HINTED} and s.user_id > $5 order by s.user_id limit $6",
        hint.name_key,
        hint.external_id,
        wanted,
        hint.email,
        after,
        limit,
    )
    return [_row(row) for row in rows]


async def user_ids(connection: Connection, scim_ids: Sequence[str]) -> dict[str, int]:
    """Return the accounts of people; those that there are not are missing."""
    wanted = [found for one in scim_ids if (found := uuid_of(one)) is not None]
    rows = await connection.fetch(
        "select scim_id::text, user_id from scim_user where scim_id = any($1) and removed_at is null", wanted
    )
    return {row[0]: row[1] for row in rows}


async def name_taken(connection: Connection, key: str, besides: int | None) -> bool:
    """Tell whether someone else has a name like this one."""
    found: bool = await connection.fetchval(
        """select exists (select from scim_user
             where user_name_key = $1 and user_id is distinct from $2)""",
        key,
        besides,
    )
    return found


async def owner_of(connection: Connection, external_id: str) -> tuple[int, bool] | None:
    """Return the account that has an `externalId`, and whether SCIM removed it."""
    row = await connection.fetchrow(
        "select user_id, removed_at is not null from scim_user where external_id = $1", external_id
    )
    return (row[0], row[1]) if row else None


async def signed_in_as(connection: Connection, authority: str, subject: str) -> int | None:
    """Return the account of someone who came through the identity provider before."""
    number: int | None = await connection.fetchval(
        "select user_id from user_identity where authority = $1 and subject = $2", authority, subject
    )
    return number


async def has_identity(connection: Connection, user_id: int) -> bool:
    """Tell whether the owner of an account came through the identity provider."""
    found: bool = await connection.fetchval(
        "select exists (select from user_identity where user_id = $1)", user_id
    )
    return found


async def store(connection: Connection, user_id: int, resource: Mapping[str, Any], now: datetime) -> None:
    """Keep what SCIM says of an account."""
    rest = {name: value for name, value in resource.items() if name not in {"userName", "externalId"}}
    emails = sorted({str(one["value"]).casefold() for one in rest.get("emails", []) if "value" in one})
    await connection.execute(
        """insert into scim_user (user_id, user_name, user_name_key, external_id, attributes, emails,
             created_at, updated_at)
           values ($1, $2, $3, $4, $5::jsonb, $6, $7, $7)
           on conflict (user_id) do update set user_name = excluded.user_name,
             user_name_key = excluded.user_name_key, external_id = excluded.external_id,
             attributes = excluded.attributes, emails = excluded.emails, updated_at = excluded.updated_at,
             version = scim_user.version + 1, removed_at = null,
             scim_id = case when scim_user.removed_at is null then scim_user.scim_id
               else gen_random_uuid() end,
             created_at = case when scim_user.removed_at is null then scim_user.created_at
               else excluded.created_at end""",
        user_id,
        resource["userName"],
        name_key(resource["userName"]),
        resource.get("externalId"),
        msgspec.json.encode(rest).decode(),
        emails,
        now,
    )


async def revoke_tokens(connection: Connection, user_id: int, now: datetime) -> list[int]:
    """Revoke the API tokens of an account for good; return their numbers."""
    rows = await connection.fetch(
        """update api_token set revoked_at = $2, previous_hash = null, previous_until = null
           where user_id = $1 and revoked_at is null returning id""",
        user_id,
        now,
    )
    return sorted(row[0] for row in rows)


async def leave_groups(connection: Connection, user_id: int) -> None:
    """Take a person out of all groups, which get their next version."""
    await connection.execute(
        """with gone as (delete from user_group_member where user_id = $1 returning group_id)
           update scim_group set version = version + 1 where group_id in (select group_id from gone)""",
        user_id,
    )


async def forget(connection: Connection, user_id: int, now: datetime) -> None:
    """Keep nothing of a removed person but what a sign-in of the same person is recognized by."""
    await connection.execute(
        """update scim_user set removed_at = $2, user_name = null, user_name_key = null, attributes = '{}',
             emails = '{}', version = version + 1 where user_id = $1""",
        user_id,
        now,
    )
    await connection.execute("delete from binding where user_id = $1", user_id)
