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

AGREED = f"""(exists (select from program_claim k cross join lateral (
      select count(*) as macs from (select from program_claim_machine w
        where w.program_id = k.program_id and w.digest = k.digest limit {AGREEMENT}) agreeing) o
    where k.program_id = x.id and k.team_id = x.team_id and k.signing_id = x.signing_id
      and o.macs >= least({AGREEMENT}, (select count(*) from (select from machine limit {AGREEMENT}) fleet)))
  or (not exists (select from program_claim k where k.program_id = x.id)
    and not exists (select from machine offset 1)))"""  # noqa: S608 - constants
"""Whether at least two Macs say so of program `x`, or the only one."""

MATCHING = """(x.team_id = any($1) or x.signing_id = any($2) or x.signing_chain[1] = any($3)
  or x.sha256 = any($4) or x.cdhash = any($5))"""

SEEN_PROGRAMS = f"""
select {PROGRAM} from program x where {MATCHING} and x.last_seen_at > $6 and {AGREED}
order by x.last_seen_at desc limit {SEEN}
"""  # noqa: S608 - constants

POPULAR_PROGRAMS = f"""
select x.file_name, u.macs, {PROGRAM}
from (select * from program x where x.last_seen_at > $1 and {{matching}}
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

_OF_THESE = "array(select l from unnest(p.layers) l where l = any($1) order by l)"
CLASS_KEY = f"array_to_string({_OF_THESE}, ',') || '/' || p.capabilities"

CLASSES = f"select distinct {_OF_THESE}, p.capabilities from policy_signature p where p.layers && $2"  # noqa: S608 - constants
ALL_CLASSES = f"select distinct {_OF_THESE}, p.capabilities from policy_signature p"  # noqa: S608 - constants

MEMBERS = """(
  select l.id as layer, x.machine_id from layer l
  join tag_member x on x.tag_id = l.tag_id and x.left_at is null where l.id = any($2)
  union
  select l.id, m.id from layer l join machine m on lower(m.primary_user) = l.name
  where l.id = any($2) and l.kind = 'user'
  union
  select l.id, l.machine_id from layer l where l.id = any($2) and l.kind = 'machine')"""
"""The Macs of layers, whether or not they have synced since they got them."""

LATE_CLASSES = f"""
select distinct {_OF_THESE}, p.capabilities, c.layer from {MEMBERS} c
join machine_sync y on y.machine_id = c.machine_id join policy_signature p on p.id = y.signature
where c.layer <> all(p.layers)
"""  # noqa: S608 - constants

MACS = f"""
select m.id, coalesce(nullif(m.hostname, ''), m.machine_id) as name
from policy_signature p join machine_sync y on y.signature = p.id join machine m on m.id = y.machine_id
where {CLASS_KEY} = any($2::text[])
union
select m.id, coalesce(nullif(m.hostname, ''), m.machine_id)
from {MEMBERS.replace("$2", "$4")} c join machine m on m.id = c.machine_id
join machine_sync y on y.machine_id = m.id join policy_signature p on p.id = y.signature
where c.layer <> all(p.layers) and c.layer || ':' || {CLASS_KEY} = any($3::text[])
"""  # noqa: S608 - constants

COUNT_MACS = f"""
with macs as ({MACS})
select (select count(*) from macs),
  array(select name from macs where {machine_in("macs.id", "$5")} order by id limit {NAMED})
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
    wanted = list(programs)
    rows = await connection.fetch(SEEN_PROGRAMS, *_identifiers(wanted), now - RECENTLY)
    return [_program(row) for row in rows]


async def popular_programs(
    connection: Connection, keys: Collection[Key] | None, more_than: int, now: datetime
) -> list[Lifeline]:
    """Return programs that more Macs than this ran lately; of these targets, or those seen last."""
    since = now - RECENTLY
    if keys is None:
        rows = await connection.fetch(POPULAR_PROGRAMS.format(matching="true"), since, more_than)
    else:
        by_type: dict[str, list[str]] = {}
        for rule_type, identifier in keys:
            by_type.setdefault(rule_type, []).append(identifier)
        wanted = [
            by_type.get(kind, []) for kind in ("TEAMID", "SIGNINGID", "CERTIFICATE", "BINARY", "CDHASH")
        ]
        matching = MATCHING
        for number in range(5, 0, -1):
            matching = matching.replace(f"${number})", f"${number + 2}::text[])")
        rows = await connection.fetch(POPULAR_PROGRAMS.format(matching=matching), since, more_than, *wanted)
    return [
        Lifeline(
            row[0] or "a program",
            f"run on {row[1]} Macs in the last 30 days",
            (_program(row[2:]),),
            advisory=True,
        )
        for row in rows
    ]


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
    if changed is None or GLOBAL_LAYER in changed:
        rows = await connection.fetch(ALL_CLASSES, sorted(deciding))
    else:
        rows = await connection.fetch(CLASSES, sorted(deciding), sorted(changed))
    return [MacClass(frozenset(row[0]), row[1]) for row in rows]


async def late_classes(
    connection: Connection, deciding: Collection[int], changed: Collection[int]
) -> list[tuple[MacClass, int]]:
    """Return classes of Macs that belong to a changed layer but have not synced since, and the layer."""
    rows = await connection.fetch(LATE_CLASSES, sorted(deciding), sorted(changed))
    return [(MacClass(frozenset(row[0]), row[1]), row[2]) for row in rows]


async def affected(
    connection: Connection,
    scope: Scope,
    deciding: Collection[int],
    synced: Collection[MacClass],
    late: Collection[tuple[MacClass, int]],
) -> Affected:
    """Count the Macs of classes; those that are late by what they had at their last sync."""
    row = await connection.fetchrow(
        COUNT_MACS,
        sorted(deciding),
        [one.key for one in synced],
        [f"{layer}:{one.key}" for one, layer in late],
        sorted({layer for _, layer in late}),
        scope.tag_ids,
    )
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


def _identifiers(programs: Sequence[Program]) -> list[list[str]]:
    """Return the team IDs, signing IDs, certificates and hashes that find these programs."""
    files = [program for program in programs if program.sha256 or program.cdhash or program.certificate]
    names = [program for program in programs if program not in files]
    return [
        [program.team_id for program in names if program.team_id and not program.signing_id],
        [program.signing_id for program in names if program.signing_id],
        [program.certificate for program in files if program.certificate],
        [program.sha256 for program in files if program.sha256],
        [program.cdhash for program in files if program.cdhash],
    ]


def _program(row: Sequence[str]) -> Program:
    team, signing_id, certificate, sha256, cdhash, path = row
    paths = (path,) if path else ()
    return Program(team, signing_id, certificate, sha256, cdhash, paths)
