"""Which Macs belong to a layer, by their last report."""

from collections.abc import Sequence

from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy.machine_facts import COLUMNS, stored_facts
from santaserver.policy.predicate import MachineFacts

COUNT = {
    "user": "select count(*) from machine where lower(primary_user) = lower($1) and retired_at is null",
    "machine": "select count(*) from machine where machine_id = $1 and retired_at is null",
    "global": "select count(*) from machine where $1::text is not null and retired_at is null",
}
"""Kind of a layer → the Macs of an owner's."""

KNOWN = """(
  exists (select from tag_member x
    where x.machine_id = m.id and x.tag_id = $1 and x.source = 'manual' and x.left_at is null)
  or exists (select from tag_enrollment e where e.tag_id = $1 and e.enrollment_id = m.enrollment_id)
  or exists (select from unnest(m.primary_user_groups) g where lower(g) = any($2)))"""
"""The members of a tag that can be told without its expression."""


class TagDefinition(Struct, frozen=True):
    """Who belongs to a tag."""

    id: int
    predicate: str | None
    groups: list[str]

    @property
    def lowered(self) -> list[str]:
        """The groups as they are compared."""
        return [name.lower() for name in self.groups]


async def count_owned(connection: Connection, kind: str, owner: str) -> int:
    """Count the Macs of a layer that is no tag's."""
    number: int = await connection.fetchval(COUNT[kind], owner)
    return number


async def find_tag(connection: Connection, name: str) -> TagDefinition | None:
    """Return the definition of a live tag."""
    row = await connection.fetchrow(
        "select id, predicate, groups from tag where lower(name) = lower($1) and removed_at is null", name
    )
    return TagDefinition(*row) if row else None


async def count_known(connection: Connection, tag: TagDefinition) -> int:
    """Count the members that can be told without the tag's expression."""
    number: int = await connection.fetchval(
        f"select count(*) from machine m where m.retired_at is null and {KNOWN}",  # noqa: S608 - a constant
        tag.id,
        tag.lowered,
    )
    return number


async def others(
    connection: Connection, tag: TagDefinition, after: int, limit: int
) -> Sequence[tuple[int, MachineFacts]]:
    """Return some of the other Macs in the order of their ids: each one's id and facts."""
    rows = await connection.fetch(
        f"""select m.id, {COLUMNS} from machine m where m.retired_at is null and not {KNOWN} and m.id > $3
            order by m.id limit $4""",  # noqa: S608 - constants
        tag.id,
        tag.lowered,
        after,
        limit,
    )
    return [(row[0], stored_facts(row[1:])) for row in rows]
