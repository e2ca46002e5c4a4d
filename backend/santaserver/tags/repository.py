"""Tags, their order and their members in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy import member_log
from santaserver.policy.change import Change
from santaserver.policy.guard_repository import SIGNATURES
from santaserver.policy.machine_facts import COLUMNS, stored_facts
from santaserver.policy.predicate import MachineFacts
from santaserver.rules.loosening import BLOCKING
from santaserver.scope import Scope
from santaserver.tags.schemas import TagContent


class TagRow(Struct, frozen=True):
    """A tag, its layer and what is counted of it."""

    id: int
    name: str
    description: str
    predicate: str | None
    groups: list[str]
    created_at: datetime
    layer: int
    rank: int
    enrollments: list[int]
    members: int
    rules: int
    settings: int
    position: int
    """Place in the order, from 1."""


TAGS = """
select t.id, t.name, t.description, t.predicate, t.groups, t.created_at, l.id, l.rank,
  array(select enrollment_id from tag_enrollment e where e.tag_id = t.id order by enrollment_id),
  (select count(distinct machine_id) from tag_member x where x.tag_id = t.id and x.left_at is null),
  (select count(*) from rule r where r.layer_id = l.id and r.removed_at is null),
  (select count(*) from setting_version v where v.layer_id = l.id and v.closed_seq is null),
  {position}
from tag t join layer l on l.tag_id = t.id
where t.removed_at is null
"""
ALL = TAGS.format(position="row_number() over (order by l.rank)") + "order by l.rank"
BELOW = "select count(*) from layer b where b.kind = 'tag' and b.removed_at is null and b.rank <= l.rank"
ONE = TAGS.format(position=f"({BELOW})") + "and t.id = $1"

RIVALS = """
select a.layer_id, b.layer_id from rule_version a join rule_version b using (rule_type, identifier)
where a.closed_seq is null and a.layer_id = any($1) and a.opened_seq is not null
  and b.closed_seq is null and b.layer_id = any($1) and b.opened_seq is not null
  and a.layer_id < b.layer_id
union
select a.layer_id, b.layer_id from setting_version a join setting_version b using (key)
where a.closed_seq is null and a.layer_id = any($1) and b.closed_seq is null and b.layer_id = any($1)
  and a.layer_id < b.layer_id
"""


async def list_tags(connection: Connection, scope: Scope) -> list[TagRow]:
    """Return live tags in their order, the lowest first."""
    rows = [TagRow(*row) for row in await connection.fetch(ALL)]
    return [row for row in rows if scope.covers(row.id)]


async def find_tag(connection: Connection, scope: Scope, tag_id: int) -> TagRow | None:
    """Return one live tag."""
    if not scope.covers(tag_id):
        return None
    row = await connection.fetchrow(ONE, tag_id)
    return TagRow(*row) if row else None


async def tag_order(connection: Connection) -> list[int]:
    """Return the ids of live tags in their order, the lowest first."""
    rows = await connection.fetch(
        """select t.id from tag t join layer l on l.tag_id = t.id where t.removed_at is null
           order by l.rank"""
    )
    return [row[0] for row in rows]


async def name_taken(connection: Connection, name: str, but: int | None) -> bool:
    """Tell whether another live tag has this name."""
    taken: bool = await connection.fetchval(
        """select exists (select from tag
             where removed_at is null and lower(name) = lower($1) and id is distinct from $2)""",
        name,
        but,
    )
    return taken


async def unknown_enrollments(connection: Connection, wanted: Sequence[int]) -> set[int]:
    """Return those that do not exist."""
    rows = await connection.fetch("select id from enrollment where id = any($1)", wanted)
    return set(wanted) - {row[0] for row in rows}


async def add_tag(connection: Connection, content: TagContent, user: int | None, now: datetime) -> int:
    """Store a new tag and its layer above all other tags; return the tag's id."""
    tag: int = await connection.fetchval(
        """insert into tag (name, description, predicate, groups, created_at, created_by)
           values ($1, $2, $3, $4, $5, $6) returning id""",
        content.name,
        content.description,
        content.predicate,
        content.groups,
        now,
        user,
    )
    await connection.execute(
        """insert into layer (kind, name, rank, tag_id)
           select 'tag', $1::bigint::text, coalesce(max(rank), 0) + 1, $1
           from layer where kind = 'tag' and removed_at is null""",
        tag,
    )
    return tag


async def change_tag(connection: Connection, tag: int, content: TagContent) -> None:
    """Give a tag another definition."""
    await connection.execute(
        "update tag set name = $2, description = $3, predicate = $4, groups = $5 where id = $1",
        tag,
        content.name,
        content.description,
        content.predicate,
        content.groups,
    )


async def set_enrollments(connection: Connection, tag: int, enrollments: Sequence[int]) -> None:
    """Replace the enrollments whose machines are members."""
    await connection.execute("delete from tag_enrollment where tag_id = $1", tag)
    if enrollments:
        await connection.execute(
            "insert into tag_enrollment (tag_id, enrollment_id) select $1, unnest($2::bigint[])",
            tag,
            sorted(set(enrollments)),
        )


async def set_order(change: Change, tags: Sequence[int]) -> None:
    """Rank tags' layers from 1 on; the database checks at the end that no two share a rank."""
    await change.connection.execute(
        """update layer l set rank = o.place::integer
           from unnest($1::bigint[]) with ordinality o (tag, place)
           where l.tag_id = o.tag and l.rank <> o.place""",
        tags,
    )
    await change.connection.execute(
        "insert into tag_order_version (seq, tags, opened_at, opened_by) values ($1, $2, $3, $4)",
        change.take_number(),
        tags,
        change.now,
        change.actor.id,
    )


async def remove_tag(change: Change, row: TagRow) -> None:
    """Take a tag out of use with its layer and memberships; all of it stays as history."""
    connection, now = change.connection, change.now
    await connection.execute("update tag set removed_at = $2 where id = $1", row.id, now)
    await connection.execute("update layer set removed_at = $2 where id = $1", row.layer, now)
    await member_log.end_of_tag(change, row.id)
    await connection.execute("delete from binding where tag_id = $1", row.id)


class MacRow(Struct, frozen=True):
    """A Mac of a class of the lock-out guard."""

    id: int
    key: str
    member: bool
    """Whether it has the tag manually or by its enrollment."""
    facts: MachineFacts


async def macs_by_class(
    connection: Connection,
    deciding: Collection[int],
    keys: Sequence[str],
    tag: int,
    enrollments: Sequence[int],
    after: int,
    limit: int,
) -> list[MacRow]:
    """Return some of the Macs of these classes in the order of their ids."""
    rows = await connection.fetch(
        f"""select m.id, p.key, m.enrollment_id = any($4) or exists (select from tag_member x
                where x.machine_id = m.id and x.tag_id = $3 and x.source = 'manual' and x.left_at is null),
              {COLUMNS}
            from {SIGNATURES} p join machine_sync y on y.signature = p.id
            join machine m on m.id = y.machine_id
            where p.key = any($2::text[]) and m.id > $5 order by m.id limit $6""",  # noqa: S608 - constants
        sorted(deciding),
        keys,
        tag,
        enrollments,
        after,
        limit,
    )
    return [MacRow(row[0], row[1], bool(row[2]), stored_facts(row[3:])) for row in rows]


async def machines_by_layers(connection: Connection) -> list[tuple[Sequence[int], int]]:
    """Return each set of tags' layers that hold something and that Macs have, and how many have it."""
    rows = await connection.fetch(
        """select layers, count(*) from (
             select b.machine_id, array_agg(distinct l.id) as layers
             from tag_member b join layer l on l.tag_id = b.tag_id
             join machine m on m.id = b.machine_id and m.retired_at is null
             where b.left_at is null and l.removed_at is null and l.used group by b.machine_id) m
           group by layers"""
    )
    return [(row[0], row[1]) for row in rows]


async def ranks_in(connection: Connection, tags: Sequence[int]) -> dict[int, int]:
    """Return the ranks that the tags' layers have in another order."""
    rows = await connection.fetch(
        """select l.id, o.place from unnest($1::bigint[]) with ordinality o (tag, place)
           join layer l on l.tag_id = o.tag""",
        tags,
    )
    return {row[0]: row[1] for row in rows}


async def blocking_rules(connection: Connection, layer: int) -> int:
    """Count the rules of a layer that are in force and block, or can."""
    number: int = await connection.fetchval(
        f"""select count(*) from rule_version where layer_id = $1 and closed_seq is null
            and opened_seq is not null and ({BLOCKING})""",  # noqa: S608 - a constant
        layer,
    )
    return number


async def rivals(connection: Connection, layers: Sequence[int]) -> set[tuple[int, int]]:
    """Return pairs of these layers, the smaller id first, with a rule or setting for the same target."""
    return {(row[0], row[1]) for row in await connection.fetch(RIVALS, layers)}


async def newest_machines(connection: Connection, limit: int) -> list[MachineFacts]:
    """Return what the machines reported that synced last."""
    rows = await connection.fetch(
        f"""select {COLUMNS} from machine m join machine_sync y on y.machine_id = m.id
            order by y.last_preflight_at desc nulls last, m.id desc limit $1""",  # noqa: S608 - a constant
        limit,
    )
    return [stored_facts(row) for row in rows]
