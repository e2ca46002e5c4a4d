"""What the lock-out guard reads: essentials, programs that were seen, what decides in the policy, Macs."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy.capabilities import NEWEST
from santaserver.policy.claims import AGREEMENT
from santaserver.policy.guard import SETTINGS, MacClass, Version, View
from santaserver.policy.layer_ranks import GLOBAL_LAYER
from santaserver.policy.lifelines import Lifeline, Program, declared
from santaserver.policy.rule_text import Key
from santaserver.scope import Scope, machine_in

RECENTLY = timedelta(days=30)
SEEN = 200
"""Programs of all lifelines that are looked at, those seen last."""
POPULAR = 20
"""Programs whose Macs are counted, those seen last."""
EVENTS = 2_000
"""Executions of one program that are looked at to count its Macs."""
NAMED = 3
"""Macs that a message names."""

ESSENTIALS = "select name, use, rule_type, identifiers, paths from essential order by id"

PROGRAM = """x.team_id, x.signing_id, coalesce(x.signing_chain[1], ''), x.sha256, x.cdhash,
  case when x.file_path <> '' then rtrim(x.file_path, '/') || '/' || x.file_name else '' end"""

AGREED = f"""coalesce((
    select max((select count(*) from (select from program_claim_machine w
      where w.program_id = k.program_id and w.digest = k.digest limit {AGREEMENT}) agreeing))
    from program_claim k
    where k.program_id = x.id and k.team_id = x.team_id and k.signing_id = x.signing_id), 1)
  >= least({AGREEMENT}, (select count(*) from (
    select from machine where retired_at is null limit {AGREEMENT}) fleet))"""  # noqa: S608
"""Whether at least two Macs say so of program `x`, or the only one."""

MATCHING = {
    "TEAMID": "select id from program where team_id = any({}::text[]) and team_id <> ''",
    "SIGNINGID": "select id from program where signing_id = any({}::text[]) and signing_id <> ''",
    "CERTIFICATE": "select id from program where signing_chain[1] = any({}::text[])",
    "BINARY": "select id from program where sha256 = any({}::text[])",
    "CDHASH": "select id from program where cdhash = any({}::text[]) and cdhash <> ''",
}
"""The programs that rules of a type match; each by its own index."""

SEEN_PROGRAMS = f"""
with named as materialized ({{matching}})
select {PROGRAM}
from (select x.* from named join program x using (id) where x.last_seen_at > $1
      order by x.last_seen_at desc limit {SEEN}) x
where {AGREED}
"""  # noqa: S608 - constants

POPULAR_PROGRAMS = f"""
{{named}}
select x.file_name, u.macs, {PROGRAM}
from (select x.* from {{programs}} where x.last_seen_at > $1
      order by x.last_seen_at desc limit {POPULAR}) x
cross join lateral (
  select count(distinct n.machine_id) as macs from (
    select e.machine_id from event e where e.program_id = x.id and e.occurred_at > $1
    order by e.occurred_at desc limit {EVENTS}) n) u
where u.macs > $2 order by u.macs desc
"""  # noqa: S608 - constants

COLUMNS = """v.rule_id, v.layer_id, v.rule_type, v.identifier, v.policy, v.cel_expr, v.locked, v.needs_level,
  case when v.opened_seq is null then v.starts_at end, v.expires_at"""

VERSIONS = f"""
select {COLUMNS} from unnest($1::text[], $2::text[]) k (rule_type, identifier)
join rule_version v on v.rule_type = k.rule_type and v.identifier = k.identifier
where v.closed_seq is null and v.cancelled_at is null
union
select {COLUMNS} from unnest($3::text[]) team
join rule_version v on v.rule_type = 'SIGNINGID' and v.identifier > team || ':' and v.identifier < team || ';'
where v.closed_seq is null and v.cancelled_at is null
"""  # noqa: S608 - constants

SETTING_VALUES = """select layer_id, key, value::text, locked from setting_version
  where closed_seq is null and key = any($1)"""

RANKS = "select id, rank from layer where removed_at is null and id = any($1)"

SIGNATURES = """(
  select p.id, p.layers, p.capabilities, coalesce(d.own, array[]::bigint[]) as own,
    coalesce(array_to_string(d.own, ','), '') || '/' || p.capabilities as key
  from policy_signature p left join (
    select p.id, array_agg(l order by l) as own from policy_signature p cross join unnest(p.layers) l
    join unnest($1::bigint[]) deciding on deciding = l group by p.id) d using (id))"""
"""Policy signatures, and of their layers those that decide ($1)."""

CLASSES = f"select distinct p.own, p.capabilities from {SIGNATURES} p"  # noqa: S608 - constants
FEW = 20
"""Layers up to which only their signatures are looked at."""

AUTOMATIC = f"""
select l.id from layer l join tag t on t.id = l.tag_id
where l.id = any($1) and l.removed_at is null and (t.predicate is not null or t.groups <> '{{}}'
  or exists (select from tag_enrollment e where e.tag_id = t.id)) order by l.id limit {FEW}
"""  # noqa: S608 - a constant
KINDS = "select distinct kind from layer where id = any($1)"
MEMBERS = {
    "tag": """select l.id as layer, x.machine_id from layer l
      join tag_member x on x.tag_id = l.tag_id and x.left_at is null where l.id = any({0})""",
    "user": """select l.id as layer, m.id as machine_id from layer l
      join machine m on lower(m.primary_user) = l.name where l.id = any({0}) and l.kind = 'user'""",
    "machine": """select l.id as layer, l.machine_id from layer l
      where l.id = any({0}) and l.kind = 'machine'""",
}
"""Kind of a layer → its Macs, whether or not they have synced since they got it."""

LATE_CLASSES = f"""
select distinct p.own, p.capabilities, c.layer from ({{members}}) c
join machine_sync y on y.machine_id = c.machine_id join {SIGNATURES} p on p.id = y.signature
where c.layer <> all(p.layers)
"""  # noqa: S608 - constants

LATE_MACS = f"""
union
select c.machine_id from ({" union ".join(MEMBERS.values()).replace("{0}", "$4")}) c
join machine_sync y on y.machine_id = c.machine_id join {SIGNATURES} p on p.id = y.signature
where c.layer <> all(p.layers) and c.layer || ':' || p.key = any($3::text[])
"""  # noqa: S608 - constants

COUNT_MACS = f"""
with signatures as materialized (select p.id from {SIGNATURES} p where p.key = any($2::text[])),
macs (id) as (
  select y.machine_id from signatures join machine_sync y on y.signature = signatures.id
  {{late}}),
first as (select id from macs where {machine_in("macs.id", "{scope}")} order by id limit {NAMED})
select (select count(*) from macs),
  array(select coalesce(nullif(m.hostname, ''), m.machine_id)
        from first join machine m using (id) order by id)
"""  # noqa: S608 - constants

LAYERS_OF_MAC = """
select l.id from layer l cross join (select id, lower(primary_user) as owner from machine where id = $1) m
where l.removed_at is null and (l.kind = 'global' or l.machine_id = m.id
  or (l.kind = 'user' and l.name = m.owner)
  or l.tag_id in (select x.tag_id from tag_member x where x.machine_id = m.id and x.left_at is null))
"""
CODE_OF_MAC = """select p.capabilities from machine_sync y join policy_signature p on p.id = y.signature
  where y.machine_id = $1"""


class Affected(Struct, frozen=True):
    """The Macs that a finding is about."""

    number: int
    names: Sequence[str]
    """Of the first ones that the user may see."""


async def essentials(connection: Connection) -> list[Lifeline]:
    """Return the organization's own lifelines."""
    return [
        Lifeline(row[0], row[1], tuple(declared(row[2], identifier, row[4]) for identifier in row[3]))
        for row in await connection.fetch(ESSENTIALS)
    ]


async def seen_programs(connection: Connection, programs: Iterable[Program], now: datetime) -> list[Program]:
    """Return what Macs reported lately of programs like these, if enough of them agree."""
    matching, values = _matching([program.keys[0] for program in programs if program.keys], 2)
    rows = await connection.fetch(SEEN_PROGRAMS.format(matching=matching), now - RECENTLY, *values)
    return [_program(row) for row in rows]


async def popular_programs(
    connection: Connection, keys: Collection[Key] | None, more_than: int, now: datetime
) -> list[Lifeline]:
    """Return programs that more Macs than this ran lately; of these targets, or those seen last."""
    named, programs, values = "", "program x", list[list[str]]()
    if keys is not None:
        matching, values = _matching(keys, 3)
        named, programs = f"with named as materialized ({matching})", "named join program x using (id)"
    query = POPULAR_PROGRAMS.format(named=named, programs=programs)
    rows = await connection.fetch(query, now - RECENTLY, more_than, *values)
    return [
        Lifeline(
            row[0] or "a program",
            f"run on {row[1]} Macs in the last 30 days",
            (_program(row[2:]),),
            advisory=True,
        )
        for row in rows
    ]


def _matching(keys: Iterable[Key], first: int) -> tuple[str, list[list[str]]]:
    """Return the query for programs with these identifiers, and its parameters, numbered from `first` on."""
    by_type: dict[str, list[str]] = {}
    for rule_type, identifier in sorted(set(keys)):
        by_type.setdefault(rule_type, []).append(identifier)
    parts = [MATCHING[kind].format(f"${number}") for number, kind in enumerate(by_type, first)]
    return " union ".join(parts), list(by_type.values())


async def read_view(connection: Connection, keys: Collection[Key], teams: Collection[str]) -> View:
    """Return the part of the present policy that decides about programs with these targets or publishers."""
    ordered = sorted(keys)
    rows = await connection.fetch(
        VERSIONS, [key[0] for key in ordered], [key[1] for key in ordered], sorted(teams)
    )
    versions = [Version(*row) for row in rows]
    settings: dict[int, dict[str, tuple[str, bool]]] = {}
    for layer, key, value, locked in await connection.fetch(SETTING_VALUES, list(SETTINGS)):
        settings.setdefault(layer, {})[key] = (msgspec.json.decode(value), locked)
    layers = {version.layer for version in versions} | settings.keys()
    return View(await ranks(connection, layers), versions, settings)


async def ranks(connection: Connection, layers: Iterable[int]) -> dict[int, int]:
    """Return the places of live layers in their order."""
    return {row[0]: row[1] for row in await connection.fetch(RANKS, sorted(layers))}


async def classes(
    connection: Connection, deciding: Collection[int], changed: Collection[int] | None
) -> list[MacClass]:
    """Return the distinct classes of Macs, by the layers that decide; only those with a changed layer."""
    if changed is None or GLOBAL_LAYER in changed or len(changed) > FEW:
        rows = await connection.fetch(CLASSES, sorted(deciding))
    else:
        rows = await connection.fetch(f"{CLASSES} where p.layers && $2", sorted(deciding), sorted(changed))
    return [MacClass(frozenset(row[0]), row[1]) for row in rows]


async def automatic_layers(connection: Connection, layers: Collection[int]) -> list[int]:
    """Return those of some layers, a few at most, that Macs get by their own reports."""
    return [row[0] for row in await connection.fetch(AUTOMATIC, sorted(layers))]


async def late_classes(
    connection: Connection, deciding: Collection[int], changed: Collection[int]
) -> list[tuple[MacClass, int]]:
    """Return classes of Macs that belong to a changed layer but have not synced since, and the layer."""
    kinds = {row[0] for row in await connection.fetch(KINDS, sorted(changed))} & MEMBERS.keys()
    if not kinds:
        return []
    members = " union ".join(MEMBERS[kind].format("$2") for kind in sorted(kinds))
    query = LATE_CLASSES.format(members=members)
    rows = await connection.fetch(query, sorted(deciding), sorted(changed))
    return [(MacClass(frozenset(row[0]), row[1]), row[2]) for row in rows]


async def affected(
    connection: Connection,
    scope: Scope,
    deciding: Collection[int],
    synced: Collection[MacClass],
    late: Collection[tuple[MacClass, int]],
) -> Affected:
    """Count the Macs of classes; those that are late by what they had at their last sync."""
    values: list[object] = [sorted(deciding), [one.key for one in synced]]
    if late:
        values += [[f"{layer}:{one.key}" for one, layer in late], sorted({layer for _, layer in late})]
    query = COUNT_MACS.format(late=LATE_MACS if late else "", scope=f"${len(values) + 1}")
    row = await connection.fetchrow(query, *values, scope.tag_ids)
    return Affected(row[0], row[1]) if row else Affected(0, ())


async def class_of_mac(connection: Connection, machine: int) -> MacClass:
    """Return the class of one Mac, by its present memberships."""
    rows = await connection.fetch(LAYERS_OF_MAC, machine)
    code = await connection.fetchval(CODE_OF_MAC, machine)
    return MacClass(frozenset(row[0] for row in rows), NEWEST.code if code is None else code)


async def layers_of_tags(connection: Connection, tags: Collection[int]) -> list[int]:
    """Return the layers of tags."""
    rows = await connection.fetch("select id from layer where tag_id = any($1)", list(tags))
    return [row[0] for row in rows]


def _program(row: Sequence[str]) -> Program:
    team, signing_id, certificate, sha256, cdhash, path = row
    paths = (path,) if path else ()
    return Program(team, signing_id, certificate, sha256, cdhash, paths)
