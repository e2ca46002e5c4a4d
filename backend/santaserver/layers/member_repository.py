"""Which Macs belong to a layer, by their last report."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy.machine_facts import COLUMNS, stored_facts
from santaserver.policy.predicate import MachineFacts
from santaserver.reads import Row

COUNT = {
    "user": "select count(*) from machine where lower(primary_user) = lower($1) and retired_at is null",
    "machine": "select count(*) from machine where machine_id = $1 and retired_at is null",
    "global": "select count(*) from machine where $1::text is not null and retired_at is null",
}
"""Kind of a layer → the Macs of an owner's."""

KNOWN = """
select id from (
  select x.machine_id as id from tag_member x
  where x.tag_id = $1 and x.left_at is null and $4 and x.source = 'manual'
  union
  select x.machine_id from tag_member x join machine_sync y on y.machine_id = x.machine_id
  where x.tag_id = $1 and x.left_at is null and x.source = 'predicate'
    and y.last_preflight_at > $5::timestamptz
  union
  select e.id from machine e where e.enrollment_id = any($3) and e.retired_at is null
  union
  select g.id from machine g where cardinality($2::text[]) > 0 and g.retired_at is null
    and exists (select from unnest(g.primary_user_groups) name where lower(name) = any($2))) members
where $6::bigint is null or id = $6
"""
"""The members of a tag that can be told without its expression, or for which it has been evaluated. A retired
Mac has lost its memberships.
"""

UNEVALUATED = f"""
select m.id, {COLUMNS} from machine m left join machine_sync y on y.machine_id = m.id
where m.retired_at is null and (y.last_preflight_at > $1::timestamptz) is not true
  and m.id > $2 and ($4::bigint is null or m.id = $4)
order by m.id limit $3
"""  # noqa: S608 - a constant
"""The Macs for which a tag's expression was not evaluated after a moment."""

DEFINED = """t.id, t.predicate, t.groups,
  array(select enrollment_id from tag_enrollment e where e.tag_id = t.id), true,
  (select c.latest_at + interval '1 minute' from tag_version v join policy_change c on c.seq = v.opened_seq
    where v.tag_id = t.id and v.closed_seq is null)"""
"""The latest moment, since a clock may be set back; a minute is more than a change takes to its commit."""

MODES = """
select v.layer_id, l.rank, v.value #>> '{}', v.locked from setting_version v join layer l on l.id = v.layer_id
where v.key = 'client_mode' and v.closed_seq is null and l.removed_at is null
"""
"""The client mode of each layer that defines one."""


class TagDefinition(Struct, frozen=True):
    """Who belongs to a tag."""

    id: int
    predicate: str | None
    groups: list[str]
    enrollments: list[int]
    manual: bool = True
    """Whether Macs that were given it manually count."""
    since: datetime | None = None
    """A preflight after this moment has evaluated the expression; None: none has."""


async def count_owned(connection: Connection, kind: str, owner: str) -> int:
    """Count the Macs of a layer that is no tag's."""
    number: int = await connection.fetchval(COUNT[kind], owner)
    return number


async def find_tag(connection: Connection, name: str) -> TagDefinition | None:
    """Return the definition of a live tag."""
    row = await connection.fetchrow(
        f"select {DEFINED} from tag t where lower(name) = lower($1) and removed_at is null",  # noqa: S608
        name,
    )
    return TagDefinition(*row) if row else None


async def definition_of(connection: Connection, tag: int) -> TagDefinition:
    """Return the present definition of a tag that there is."""
    query = f"select {DEFINED} from tag t where id = $1"  # noqa: S608 - a constant
    (row,) = await connection.fetch(query, tag)
    return TagDefinition(*row)


async def fleet_size(connection: Connection) -> int:
    """Count all Macs."""
    return await count_owned(connection, "global", "")


async def owned_by(connection: Connection, kind: str, owner: str) -> set[int]:
    """Return the Macs of a user, or one Mac by its id."""
    column = "lower(primary_user) = lower($1)" if kind == "user" else "machine_id = $1"
    query = f"select id from machine where {column} and retired_at is null"  # noqa: S608 - constants
    return {row[0] for row in await connection.fetch(query, owner)}


async def owned_members(connection: Connection, layers: Sequence[int], only: int | None) -> Sequence[Row]:
    """Return the Macs of layers of users and machines, or one of them: (layer, Mac)."""
    return await connection.fetch(
        """select l.id, m.id from layer l
           join machine m on case l.kind when 'user' then lower(m.primary_user) = l.name
             when 'machine' then m.id = l.machine_id else false end
           where m.retired_at is null and l.id = any($1) and ($2::bigint is null or m.id = $2)""",
        layers,
        only,
    )


async def tags_of_layers(connection: Connection, layers: Sequence[int]) -> list[tuple[int, TagDefinition]]:
    """Return the definitions of the tags that these layers belong to."""
    rows = await connection.fetch(
        f"""select l.id, {DEFINED} from layer l join tag t on t.id = l.tag_id
            where l.id = any($1) and t.removed_at is null""",  # noqa: S608 - a constant
        layers,
    )
    return [(row[0], TagDefinition(*row[1:])) for row in rows]


async def known_members(connection: Connection, tag: TagDefinition, only: int | None) -> set[int]:
    """Return the members that can be told without evaluating the tag's expression, or one of them."""
    groups = [name.lower() for name in tag.groups]  # as they are compared
    rows = await connection.fetch(KNOWN, tag.id, groups, tag.enrollments, tag.manual, tag.since, only)
    return {row[0] for row in rows}


async def unevaluated(
    connection: Connection, tag: TagDefinition, after: int, limit: int, only: int | None = None
) -> Sequence[tuple[int, MachineFacts]]:
    """Return some of the Macs that the tag's expression was not evaluated for: each one's id and facts."""
    rows = await connection.fetch(UNEVALUATED, tag.since, after, limit, only)
    return [(row[0], stored_facts(row[1:])) for row in rows]
