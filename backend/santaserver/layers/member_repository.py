"""Which Macs belong to a layer, by their last report."""

from collections.abc import Sequence

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

KNOWN = """(
  $4 and exists (select from tag_member x
    where x.machine_id = m.id and x.tag_id = $1 and x.source = 'manual' and x.left_at is null)
  or m.enrollment_id = any($3)
  or exists (select from unnest(m.primary_user_groups) g where lower(g) = any($2)))"""
"""The members of a tag that can be told without its expression."""
DEFINED = """t.id, t.predicate, t.groups,
  array(select enrollment_id from tag_enrollment e where e.tag_id = t.id)"""

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

    @property
    def known(self) -> tuple[int, list[str], list[int], bool]:
        """The arguments of `KNOWN`; groups as they are compared."""
        return self.id, [name.lower() for name in self.groups], self.enrollments, self.manual


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
    """Return the members that can be told without the tag's expression, or one of them."""
    query = f"""select m.id from machine m
      where m.retired_at is null and {KNOWN} and ($5::bigint is null or m.id = $5)"""  # noqa: S608 - a constant
    return {row[0] for row in await connection.fetch(query, *tag.known, only)}


async def count_known(connection: Connection, tag: TagDefinition) -> int:
    """Count the members that can be told without the tag's expression."""
    number: int = await connection.fetchval(
        f"select count(*) from machine m where m.retired_at is null and {KNOWN}",  # noqa: S608 - a constant
        *tag.known,
    )
    return number


async def others(
    connection: Connection, tag: TagDefinition, after: int, limit: int, only: int | None = None
) -> Sequence[tuple[int, MachineFacts]]:
    """Return some of the other Macs in the order of their ids, or one: each one's id and facts."""
    rows = await connection.fetch(
        f"""select m.id, {COLUMNS} from machine m
            where m.retired_at is null and not {KNOWN} and m.id > $5 and ($7::bigint is null or m.id = $7)
            order by m.id limit $6""",  # noqa: S608 - constants
        *tag.known,
        after,
        limit,
        only,
    )
    return [(row[0], stored_facts(row[1:])) for row in rows]
