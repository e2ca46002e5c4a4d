"""The policy log in the database: pages of changes, and what one of them did."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

import msgspec
from msgspec import Struct

from santaserver.changes.kinds import Counts
from santaserver.changes.rows import BEGUN, ENDED
from santaserver.db import Connection
from santaserver.paging import like_pattern
from santaserver.policy.layer_names import NAME, NAMED
from santaserver.policy.targets import RuleType
from santaserver.scope import Scope, layer_in

COLUMNS = """c.seq, c.at, c.actor_kind, c.actor_id, c.actor_name, c.kind, c.reason, c.summary::text,
  r.rule_type, r.identifier"""
LOG = """policy_change c
  left join rule r on c.kind = 'rule' and r.id = (c.summary ->> 'rule')::bigint"""
"""The log; a change of one rule with its target."""


def _layers(tags: str) -> str:
    """Return an array of the layers in scope."""
    return f"array(select l.id from layer l where {layer_in(tags)})"  # noqa: S608 - a parameter's name


CONCERNS = f"""c.seq in (
  select opened_seq from rule_version where layer_id = any({_layers("$3")}) and opened_seq is not null
  union all select closed_seq from rule_version
    where layer_id = any({_layers("$3")}) and closed_seq is not null
  union all select opened_seq from setting_version where layer_id = any({_layers("$4")})
  union all select closed_seq from setting_version
    where layer_id = any({_layers("$4")}) and closed_seq is not null)"""  # noqa: S608 - constants
"""Whether a change touched rules of the scope $3, or settings of the scope $4."""
LIST = f"""select {COLUMNS} from {LOG}
where c.seq < $1 and ($3::bigint[] is null and $4::bigint[] is null or {CONCERNS}) {{filters}}
order by c.seq desc limit $2"""  # noqa: S608 - constants
_TYPES = ", ".join(f"'{name}'" for name in get_args(RuleType))
"""Each of them, so that the index of targets is used."""
FILTERS = {
    "kind": "c.kind = {}",
    "actor": "c.actor_name = {}",
    "actor_kind": "c.actor_kind = {}",
    "since": "c.at >= {}",
    "until": "c.at < {}",
    "q": f"""(c.reason ilike {{0}} or c.actor_name ilike {{0}} or r.identifier ilike {{0}} or c.seq in (
  select unnest(array[opened_seq, closed_seq]) from rule_version where layer_id = any({_layers("$3")})
    and rule_type in ({_TYPES}) and identifier = {{1}}))""",  # noqa: S608 - constants
}
FIRST_FILTER = 5
"""The number of the first parameter of filters."""
COUNTS = f"""
with opened as (
  select opened_seq as seq, layer_id, rule_type, identifier from rule_version
  where layer_id = any({_layers("$2")}) and opened_seq = any($1)),
closed as (
  select closed_seq as seq, layer_id, rule_type, identifier from rule_version
  where layer_id = any({_layers("$2")}) and closed_seq = any($1)),
rules as (
  select seq, count(*) filter (where c.layer_id is null) as added,
    count(*) filter (where o.layer_id is not null and c.layer_id is not null) as changed,
    count(*) filter (where o.layer_id is null) as removed
  from opened o full join closed c using (seq, layer_id, rule_type, identifier) group by seq),
settings as (
  select seq, count(distinct (layer_id, key)) as settings from (
    select opened_seq as seq, layer_id, key from setting_version
    where layer_id = any({_layers("$3")}) and opened_seq = any($1)
    union all select closed_seq, layer_id, key from setting_version
    where layer_id = any({_layers("$3")}) and closed_seq = any($1)) s group by seq)
select seq, coalesce(added, 0), coalesce(changed, 0), coalesce(removed, 0), coalesce(settings, 0)
from rules full join settings using (seq)"""  # noqa: S608 - constants
CONTENT = "policy, cel_expr, custom_msg, custom_url, comment, locked, starts_at, expires_at"
_BEFORE = ", ".join(f"b.{name.strip()}" for name in CONTENT.split(","))
_AFTER = ", ".join(f"a.{name.strip()}" for name in CONTENT.split(","))
TOUCHED = f"""
with before as ({ENDED}), after as ({BEGUN}), touched as (
  select layer_id, rule_type, identifier, b.id as ended, a.id as begun
  from before b full join after a using (layer_id, rule_type, identifier)),
visible as (
  select x.*, {NAME} as layer from touched x join ({NAMED}) on l.id = x.layer_id where {layer_in("$4")})"""  # noqa: S608 - constants
RULES = f"""{TOUCHED}
select t.layer_id, t.layer, t.rule_type, t.identifier, b.id, {_BEFORE}, a.id, {_AFTER}
from visible t left join rule_version b on b.id = t.ended left join rule_version a on a.id = t.begun
where (t.layer_id, t.rule_type, t.identifier) > ($5::bigint, $6::text, $7::text)
order by t.layer_id, t.rule_type, t.identifier limit $8"""  # noqa: S608 - constants
TOTAL = f"{TOUCHED} select count(*) from visible"  # noqa: S608 - a constant
SETTINGS = f"""
select x.layer_id, {NAME}, x.key, l.removed_at is not null, x.ended, x.old_value::text, x.was_locked,
  x.begun, x.new_value::text, x.is_locked
from (
  select layer_id, key, b.id is not null as ended, b.value as old_value, b.locked as was_locked,
    a.id is not null as begun, a.value as new_value, a.locked as is_locked
  from (select * from setting_version where closed_seq = $1) b
  full join (select * from setting_version where opened_seq = $1) a using (layer_id, key)) x
join ({NAMED}) on l.id = x.layer_id
where {layer_in("$2")} order by l.rank, x.layer_id, x.key"""  # noqa: S608 - constants
OUTSIDE = """select count(*) from (
    select layer_id from setting_version where closed_seq = $1 or opened_seq = $1) s
  join layer l on l.id = s.layer_id where not coalesce({}, false)"""
LAST_OF_SETTINGS = """
select s.key, c.seq, c.at, c.actor_name, c.kind
from unnest($2::text[]) s (key)
join lateral (select max(greatest(opened_seq, closed_seq)) as seq from setting_version v
  where v.layer_id = $1 and v.key = s.key) x on true
join policy_change c on c.seq = x.seq"""


class ChangeFilters(Struct, frozen=True):
    """What a list of changes is limited to."""

    kind: str | None = None
    actor: str | None = None
    actor_kind: str | None = None
    q: str = ""
    since: datetime | None = None
    until: datetime | None = None


class Scopes(Struct, frozen=True):
    """Where someone sees rules, and where settings."""

    rules: Scope
    settings: Scope

    @property
    def everywhere(self) -> bool:
        """Whether nothing is out of scope."""
        return self.rules.everywhere and self.settings.everywhere


class LogEntry(Struct, frozen=True):
    """A row of the policy log."""

    seq: int
    at: datetime
    actor_kind: str
    actor_id: int | None
    actor_name: str
    kind: str
    reason: str
    summary: dict[str, Any]
    rule_type: str | None
    identifier: str | None


class SettingRow(Struct, frozen=True):
    """A setting that a change touched; (value, locked) before and after it, None where there was none."""

    layer_id: int
    layer: str
    key: str
    layer_gone: bool
    before: tuple[Any, bool] | None
    after: tuple[Any, bool] | None


class LaterChange(Struct, frozen=True):
    """A change that is in the way."""

    seq: int
    at: datetime
    actor_name: str
    kind: str


async def changes(
    connection: Connection, scopes: Scopes, filters: ChangeFilters, before: int, limit: int
) -> list[LogEntry]:
    """Return changes with a smaller number, the newest first."""
    conditions: list[str] = []
    values: list[object] = []
    for name, condition in FILTERS.items():
        wanted = getattr(filters, name)
        if not wanted:
            continue
        given = (like_pattern(wanted), wanted) if name == "q" else (wanted,)
        names = [f"${number}" for number, _ in enumerate(given, FIRST_FILTER + len(values))]
        values += given
        conditions.append("and " + condition.format(*names))
    statement = LIST.format(filters=" ".join(conditions))
    rows = await connection.fetch(
        statement, before, limit, scopes.rules.tag_ids, scopes.settings.tag_ids, *values
    )
    return [_entry(row) for row in rows]


async def find_change(connection: Connection, seq: int) -> LogEntry | None:
    """Return one change, whatever it touched."""
    row = await connection.fetchrow(f"select {COLUMNS} from {LOG} where c.seq = $1", seq)  # noqa: S608 - a constant
    return _entry(row) if row else None


async def counts(connection: Connection, scopes: Scopes, numbers: Sequence[int]) -> dict[int, Counts]:
    """Count what changes touched in scope."""
    rows = await connection.fetch(COUNTS, list(numbers), scopes.rules.tag_ids, scopes.settings.tag_ids)
    return {row[0]: Counts(*row[1:]) for row in rows}


async def rules_total(connection: Connection, scope: Scope, entry: LogEntry) -> int:
    """Count the rules in scope that a change touched."""
    total: int = await connection.fetchval(TOTAL, entry.seq, entry.at, entry.actor_id, scope.tag_ids)
    return total


async def rules(
    connection: Connection, scope: Scope, entry: LogEntry, after: tuple[int, str, str], limit: int
) -> Sequence[Any]:
    """Return a page of the rules in scope that a change touched."""
    return await connection.fetch(RULES, entry.seq, entry.at, entry.actor_id, scope.tag_ids, *after, limit)


async def settings(connection: Connection, scope: Scope, seq: int) -> list[SettingRow]:
    """Return the settings in scope that a change touched."""
    rows = await connection.fetch(SETTINGS, seq, scope.tag_ids)
    return [SettingRow(row[0], row[1], row[2], row[3], _owned(row[4:7]), _owned(row[7:10])) for row in rows]


async def settings_outside(connection: Connection, scope: Scope, seq: int) -> int:
    """Count the settings out of scope that a change touched."""
    number: int = await connection.fetchval(OUTSIDE.format(layer_in("$2")), seq, scope.tag_ids)
    return number


async def later_of_settings(
    connection: Connection, layer: int, keys: Sequence[str]
) -> dict[str, LaterChange]:
    """Return the newest change of each of a layer's settings."""
    rows = await connection.fetch(LAST_OF_SETTINGS, layer, list(keys))
    return {row[0]: LaterChange(*row[1:]) for row in rows}


def _entry(row: Any) -> LogEntry:  # noqa: ANN401 - a record
    seq, at, actor_kind, actor_id, actor_name, kind, reason, summary, rule_type, identifier = row
    said = msgspec.json.decode(summary)
    return LogEntry(seq, at, actor_kind, actor_id, actor_name, kind, reason, said, rule_type, identifier)


def _owned(part: Sequence[Any]) -> tuple[Any, bool] | None:
    exists, value, locked = part
    return (msgspec.json.decode(value), locked) if exists else None
