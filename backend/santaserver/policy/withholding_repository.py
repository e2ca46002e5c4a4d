"""The SQL of withheld layers: which there are, and what was saved against the guard's advice."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy.guard import SETTINGS, View
from santaserver.policy.layer_names import NAME, NAMED

ACCEPTED = "c.summary -> 'guard_overridden' = 'true'::jsonb"
"""Whether the policy change `c` was saved against the guard's advice."""
RULES = f"""
select distinct v.layer_id, v.rule_type, v.identifier
from unnest($1::text[], $2::text[]) k (rule_type, identifier)
join rule_version v on v.rule_type = k.rule_type and v.identifier = k.identifier
where v.closed_seq is null and v.cancelled_at is null and exists (
  select from rule_version o join policy_change c on c.seq = o.opened_seq
  where o.layer_id = v.layer_id and o.rule_type = v.rule_type and o.identifier = v.identifier
    and o.rule_id = v.rule_id and o.policy = v.policy and {ACCEPTED})
"""  # noqa: S608 - constants
SETTING_VALUES = f"""
select distinct v.layer_id, v.key, v.value::text from setting_version v
where v.closed_seq is null and v.key = any($1) and exists (
  select from setting_version o join policy_change c on c.seq = o.opened_seq
  where o.layer_id = v.layer_id and o.key = v.key and o.value = v.value and {ACCEPTED})
"""  # noqa: S608 - constants
DEFINITIONS = f"""
select l.id from tag_version v join layer l on l.tag_id = v.tag_id
where v.closed_seq is null and exists (
  select from tag_version o join policy_change c on c.seq = o.opened_seq
  where o.tag_id = v.tag_id and o.predicate is not distinct from v.predicate and o.groups = v.groups
    and o.enrollments = v.enrollments and {ACCEPTED})
"""  # noqa: S608 - constants

STORE = """
with settled as (delete from withheld_layer where machine_id = $1 and layer_id <> all($2::bigint[]))
insert into withheld_layer as w (machine_id, layer_id, gained, since, reason)
select $1, o.layer, o.gained, $5, o.reason
from unnest($2::bigint[], $3::boolean[], $4::text[]) o (layer, gained, reason)
on conflict (machine_id, layer_id) do update set gained = excluded.gained, reason = excluded.reason
  where (w.gained, w.reason) is distinct from (excluded.gained, excluded.reason)
returning layer_id
"""
WITHHELD = """select w.machine_id from withheld_layer w join layer l on l.id = w.layer_id
  where l.removed_at is null"""
"""The machines that a layer is withheld from; one may be there more than once."""
OF_MACHINE = f"""
select {NAME}, w.gained, w.since, w.reason from withheld_layer w join {NAMED} on l.id = w.layer_id
where w.machine_id = $1 and l.removed_at is null order by l.rank
"""  # noqa: S608 - constants


class Overridden(Struct, frozen=True):
    """What administrators accepted."""

    causes: frozenset[tuple[int | None, str, str]]
    """(layer, rule type, identifier) of rules; (layer, key, value) of settings."""
    definitions: frozenset[int]
    """Layers of tags with a definition that gives or takes them whatever follows."""


class WithheldLayer(Struct, frozen=True):
    """A layer that a Mac does not get, or keeps, in spite of its report."""

    layer: str
    gained: bool
    """Whether the Mac would get it; else it would lose it."""
    since: datetime
    reason: str


async def overridden(connection: Connection, view: View) -> Overridden:
    """Return what administrators accepted of what decides now."""
    keys = sorted(view.rules)
    rules = await connection.fetch(RULES, [key[0] for key in keys], [key[1] for key in keys])
    settings = await connection.fetch(SETTING_VALUES, list(SETTINGS))
    definitions = await connection.fetch(DEFINITIONS)
    causes: set[tuple[int | None, str, str]] = {(row[0], row[1], row[2]) for row in rules}
    causes |= {(row[0], row[1], msgspec.json.decode(row[2])) for row in settings}
    return Overridden(frozenset(causes), frozenset(row[0] for row in definitions))


async def store(
    connection: Connection,
    machine: int,
    layers: Sequence[tuple[int, bool]],
    reasons: Sequence[str],
    now: datetime,
) -> set[int]:
    """Store which layers are withheld from a machine, and no others; return those that are news."""
    rows = await connection.fetch(
        STORE, machine, [layer for layer, _ in layers], [gained for _, gained in layers], reasons, now
    )
    return {row[0] for row in rows}


async def withheld_from(connection: Connection, machine: int) -> list[WithheldLayer]:
    """Return what is withheld from a machine."""
    return [WithheldLayer(*row) for row in await connection.fetch(OF_MACHINE, machine)]
