"""The rules of a file beside those that are stored: temporary tables of the import's own transaction.

However many rules there are, PostgreSQL compares them; this process holds a portion at a time.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy.cel_outcome import ALLOWING
from santaserver.policy.rule_text import Key
from santaserver.rules.transfer_format import FileRow
from santaserver.rules.transfer_plan import NO_LAYER, STAGED_COLUMNS, Portion
from santaserver.rules.transfer_schemas import FIRST_REMOVAL, SHOWN, FileMistake

STATEMENT_TIMEOUT = 50.0
"""Seconds for one statement about all rules of a file."""

STAGED = """create temp table import_rule (
  n integer not null, line integer not null, asked text collate "C" not null,
  rule_type text collate "C" not null, identifier text collate "C" not null, policy text not null,
  cel_expr text, custom_msg text not null, custom_url text not null, needs_level integer not null,
  grants_compiler boolean not null, locked boolean not null, starts_at timestamptz, expires_at timestamptz,
  comment text not null) on commit drop"""

ASKED = """create temp table import_asked (asked text collate "C" not null) on commit drop"""
"""Layers that rules with mistakes name."""

ORDERED = """create temp table import_removal (
  n integer not null, line integer not null, asked text collate "C" not null,
  rule_type text collate "C" not null, identifier text collate "C" not null) on commit drop"""
"""Targets whose rule the file orders to remove."""
REMOVAL_COLUMNS = ("n", "line", "asked", "rule_type", "identifier")

LAYERS = """create temp table import_layer on commit drop as
  select a.asked, coalesce(tl.id, ul.id, ml.id, gl.id) as layer_id, (case a.kind
      when 'global' then 'global' when 'tag' then 'tag:' || t.name when 'user' then 'user:' || lower(a.owner)
      when 'machine' then 'machine:' || m.machine_id end) collate "C" as name
  from (select asked, split_part(asked, ':', 1) as kind, substr(asked, strpos(asked, ':') + 1) as owner
        from (select asked from import_rule union select asked from import_asked
              union select asked from import_removal) named) a
  left join tag t on a.kind = 'tag' and lower(t.name) = lower(a.owner) and t.removed_at is null
  left join machine m on a.kind = 'machine' and m.machine_id = a.owner
  left join layer gl on a.kind = 'global' and gl.kind = 'global'
  left join layer tl on tl.tag_id = t.id and tl.removed_at is null
  left join layer ml on ml.machine_id = m.id and ml.removed_at is null
  left join layer ul on a.kind = 'user' and ul.kind = 'user' and ul.name = lower(a.owner)
    and ul.removed_at is null"""
"""The layers that the file names: their stored name, null for one of nobody; no id for one to be made."""

LIVE = """select r.id as rule, r.layer_id, r.rule_type, r.identifier, v.comment,
    v.opened_seq is null as waits, v.policy, v.cel_expr, v.custom_msg, v.custom_url, v.needs_level,
    v.grants_compiler, v.locked,
    case when v.opened_seq is null then v.starts_at end as starts_at, v.expires_at
  from rule r join rule_version v on v.rule_id = r.id and v.closed_seq is null and v.cancelled_at is null
  where r.removed_at is null"""

STEPS = f"""create temp table import_step on commit drop as
  select s.*, case
      when s.nth > 1 then 'twice'
      when s.rule is null then 'add'
      when not s.noticed and s.comment = s.old_comment then 'same'
      when s.starts_at is not null and not s.waits then 'late'
      else 'change' end as action
  from (
    select f.*, l.name as layer, l.layer_id, p.rule, p.policy as before, p.comment as old_comment, p.waits,
      p.rule is null or (f.policy, f.cel_expr, f.custom_msg, f.custom_url, f.needs_level, f.grants_compiler,
          f.locked, f.starts_at, f.expires_at)
        is distinct from (p.policy, p.cel_expr, p.custom_msg, p.custom_url, p.needs_level, p.grants_compiler,
          p.locked, p.starts_at, p.expires_at) as noticed,
      row_number() over target as nth, first_value(f.line) over target as first_line
    from import_rule f join import_layer l on l.asked = f.asked and l.name is not null
    left join ({LIVE}) p using (layer_id, rule_type, identifier)
    window target as (partition by l.name, f.rule_type, f.identifier order by f.n)) s"""  # noqa: S608 - constants

ORDERED_REMOVALS = f"""insert into import_step
    (n, line, layer, layer_id, rule_type, identifier, rule, before, noticed, action)
  select f.n, f.line, l.name, l.layer_id, f.rule_type, f.identifier, p.rule, p.policy, p.rule is not null,
    case when p.rule is null then 'absent' else 'remove' end
  from import_removal f join import_layer l on l.asked = f.asked and l.name is not null
  left join ({LIVE}) p using (layer_id, rule_type, identifier)"""  # noqa: S608 - constants
"""What the file orders to remove; `absent` where there is no such rule."""

REMOVALS = f"""insert into import_step (layer, layer_id, rule_type, identifier, rule, before, noticed, action)
  select l.name, p.layer_id, p.rule_type, p.identifier, p.rule, p.policy, true, 'remove'
  from ({LIVE}) p
  join (select distinct name, layer_id from import_layer where layer_id is not null) l using (layer_id)
  where not exists (select from import_step s where s.rule = p.rule)"""  # noqa: S608 - constants

CHANGES = """select action, line, layer, rule_type, identifier, before, policy as after from import_step
  where action in ('add', 'change', 'remove') order by n nulls last, layer, rule_type, identifier limit $1"""

MISTAKES = """select n, line, field, message, count(*) over () as total from (
    select n, f.line, 'layer' as field, $2::text as message
    from (select n, line, asked from import_rule union all select n, line, asked from import_removal) f
    join import_layer l using (asked) where l.name is null
    union all
    select n, line, 'identifier', 'Line ' || first_line || ' has a rule for the same target in the same layer'
    from import_step where action = 'twice'
    union all
    select n, line, 'starts_at', 'The rule is in force already, so it cannot start later'
    from import_step where action = 'late') m
  order by line, n limit $1"""

CODES = {"layer": "unknown_layer", "identifier": "conflict", "starts_at": "bad_value"}
"""What kinds of mistakes a comparison shows, by their fields."""

HASHES = """select n, identifier from import_step
  where action in ('add', 'change') and noticed and rule_type = $1 and policy <> all($2) and n > $3
  order by n limit $4"""

CONCERNING = """select action, line, layer, layer_id, rule, rule_type, identifier, policy, cel_expr, locked,
    needs_level, starts_at, expires_at
  from import_step where action in ('add', 'change', 'remove') and noticed
    and ((rule_type, identifier) in (select * from unnest($1::text[], $2::text[]))
      or (rule_type = 'SIGNINGID' and split_part(identifier, ':', 1) = any($3::text[])))
  order by n"""


class ConcerningStep(Struct, frozen=True):
    """A step that the lock-out guard looks at."""

    action: str
    line: int | None
    layer: str
    layer_id: int | None
    rule: int | None
    rule_type: str
    identifier: str
    policy: str | None
    cel_expr: str | None
    locked: bool | None
    needs_level: int | None
    starts_at: datetime | None
    expires_at: datetime | None


LOOSENED = """select count(*), array_agg(distinct layer_id) from import_step
  where action in ('change', 'remove') and (before like '%BLOCKLIST' or before = 'CEL')
    and not coalesce(policy like '%BLOCKLIST' or policy = 'CEL', false)"""

CHANGED = """select distinct layer_id from import_step
  where action in ('add', 'change', 'remove') and noticed and layer_id is not null"""

SERIALS = """select serial, min(machine_id) from machine
  where serial = any($1::text[]) and retired_at is null group by serial having count(*) = 1"""

NEW_LAYERS = """select distinct layer from import_step where action = 'add' and layer_id is null"""

MACS = """select m.id from unnest($1::text[]) s (layer) join machine m on m.machine_id = substr(s.layer, 9)
  where s.layer like 'machine:%' and m.retired_at is null
  union
  select m.id from unnest($1::text[]) s (layer) join machine m on lower(m.primary_user) = substr(s.layer, 6)
  where s.layer like 'user:%' and m.retired_at is null"""


async def begin(connection: Connection) -> None:
    """Make the tables that the file goes to."""
    await connection.execute(STAGED)
    await connection.execute(ASKED)
    await connection.execute(ORDERED)


async def add(connection: Connection, portion: Portion) -> None:
    """Store some rules of the file."""
    asked = [(name,) for name in {one.asked for one in portion.failed}]
    for table, records, columns in (
        ("import_rule", portion.records, STAGED_COLUMNS),
        ("import_asked", asked, ("asked",)),
    ):
        if records:
            await connection.copy_records_to_table(table, records=records, columns=columns)


async def add_removals(connection: Connection, rows: Sequence[FileRow]) -> None:
    """Store what the file orders to remove."""
    records = [
        (number, row.line, row.rule.layer, row.rule.rule_type, row.rule.identifier)
        for number, row in enumerate(rows, FIRST_REMOVAL)
    ]
    await connection.copy_records_to_table("import_removal", records=records, columns=REMOVAL_COLUMNS)


async def compare(connection: Connection, *, remove_missing: bool) -> dict[str, int]:
    """Work out what happens to each rule; return how many there are of each kind of step."""
    for statement in ("analyze import_rule", LAYERS, "analyze import_layer", STEPS, "analyze import_step"):
        await connection.execute(statement, timeout=STATEMENT_TIMEOUT)
    await connection.execute(ORDERED_REMOVALS, timeout=STATEMENT_TIMEOUT)
    if remove_missing:
        await connection.execute(REMOVALS, timeout=STATEMENT_TIMEOUT)
    rows = await connection.fetch("select action, count(*) from import_step group by action")
    return {row[0]: row[1] for row in rows}


async def newest_version(connection: Connection) -> int:
    """Return the id of the newest version of a rule; a rule that waits takes no number, but has one."""
    newest: int | None = await connection.fetchval("select max(id) from rule_version")
    return newest or 0


async def forget(connection: Connection) -> None:
    """Drop a comparison; the file stays."""
    await connection.execute("drop table import_step, import_layer")


async def changes(connection: Connection) -> Sequence[Any]:
    """Return the first steps: those of the file in its order, then removals."""
    return await connection.fetch(CHANGES, SHOWN)


async def mistakes(connection: Connection) -> tuple[list[tuple[int, FileMistake]], int]:
    """Return the first mistakes that only a comparison shows, by rule numbers, and how many there are."""
    rows = await connection.fetch(MISTAKES, SHOWN, NO_LAYER)
    found = [
        (
            row["n"],
            FileMistake(
                line=row["line"], field=row["field"], message=row["message"], code=CODES[row["field"]]
            ),
        )
        for row in rows
    ]
    return found, rows[0]["total"] if rows else 0


async def loosened(connection: Connection) -> tuple[int, list[int]]:
    """Return how many rules that block, or can, would no longer do so, and their layers."""
    row = await connection.fetchrow(LOOSENED)
    return (row[0], row[1] or []) if row else (0, [])


async def changed_layers(connection: Connection) -> list[int]:
    """Return the layers whose Macs would get something else."""
    return [row[0] for row in await connection.fetch(CHANGED)]


async def new_layers(connection: Connection) -> list[str]:
    """Return the layers of users and machines that would begin with this import."""
    return [row[0] for row in await connection.fetch(NEW_LAYERS)]


async def macs_of(connection: Connection, layers: Collection[str]) -> set[int]:
    """Return the Macs of layers of users and machines, by the layers' names."""
    return {row[0] for row in await connection.fetch(MACS, list(layers))}


async def unknown_layers(connection: Connection) -> set[str]:
    """Return which of the layers that rules with errors name do not exist."""
    query = "select asked from import_layer join import_asked using (asked) where name is null"
    return {row[0] for row in await connection.fetch(query)}


async def missing_layers(connection: Connection) -> list[str]:
    """Return the first layers of the file that do not exist."""
    query = "select asked from import_layer where name is null order by asked limit $1"
    return [row[0] for row in await connection.fetch(query, SHOWN)]


async def machines_by_serial(connection: Connection, serials: Collection[str]) -> dict[str, str]:
    """Return the machine ids of serial numbers that exactly one Mac has."""
    rows = await connection.fetch(SERIALS, list(serials))
    return {row[0]: row[1] for row in rows}


async def hashes_to_judge(
    connection: Connection, rule_type: str, portion: int
) -> AsyncIterator[Sequence[str]]:
    """Yield the hashes with rules in the file that do not just allow, in portions."""
    after = 0
    while rows := await connection.fetch(HASHES, rule_type, sorted(ALLOWING), after, portion):
        after = rows[-1][0]
        yield [row[1] for row in rows]


async def concerning(
    connection: Connection, keys: Collection[Key], teams: Collection[str]
) -> list[ConcerningStep]:
    """Return the steps for these targets, or for programs of these publishers."""
    ordered = sorted(keys)
    rows = await connection.fetch(
        CONCERNING, [key[0] for key in ordered], [key[1] for key in ordered], sorted(teams)
    )
    return [ConcerningStep(*row) for row in rows]
