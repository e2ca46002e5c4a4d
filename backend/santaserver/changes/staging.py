"""What taking back a change does to each rule: a temporary table of its own transaction.

It has the columns of an import's steps, so that the same statements judge and apply both. However many rules
there are, PostgreSQL compares them: the version that the change ended, the one it began, and the live one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from santaserver.changes.repository import LogEntry
from santaserver.changes.rows import BEGUN, ENDED
from santaserver.changes.schemas import SHOWN
from santaserver.db import Connection
from santaserver.policy.layer_names import NAME, NAMED
from santaserver.rules.transfer_staging import STATEMENT_TIMEOUT
from santaserver.scope import Scope, layer_in

TABLE = """create temp table import_step (
  n integer not null, line integer, layer text collate "C" not null, layer_id bigint not null,
  rule_type text collate "C" not null, identifier text collate "C" not null, policy text, cel_expr text,
  custom_msg text, custom_url text, needs_level integer, grants_compiler boolean, locked boolean,
  starts_at timestamptz, expires_at timestamptz, comment text, rule bigint, before text,
  before_locked boolean, waits boolean, noticed boolean not null, why text, action text not null,
  in_scope boolean not null) on commit drop"""
VERSIONS = """select v.id, v.rule_id, v.layer_id, v.rule_type, v.identifier, v.policy, v.cel_expr,
    v.custom_msg, v.custom_url, v.needs_level, v.grants_compiler, v.locked, v.comment,
    v.opened_seq is null as waits,
    case when v.opened_seq is null then v.starts_at end as starts_at, v.expires_at
  from {} v"""
CONTENT = """({0}.policy, {0}.cel_expr, {0}.custom_msg, {0}.custom_url, {0}.needs_level,
  {0}.grants_compiler, {0}.locked, {0}.starts_at, {0}.expires_at)"""
BEFORE, AFTER, LIVE = (CONTENT.format(name) for name in "bap")
WHY = f"""case
    when l.removed_at is not null then 'layer_gone'
    when {LIVE} is distinct from {AFTER} or p.comment is distinct from a.comment then 'changed'
    when b.expires_at <= $5 then 'expired'
    when b.waits and b.starts_at <= $5 then 'started'
    when b.waits and not p.waits then 'in_force' end"""
"""Why the content before the change cannot come back; null when it can. $5 is now."""
STEPS = f"""
with ended as ({VERSIONS.format(f"({ENDED})")}), begun as ({VERSIONS.format(f"({BEGUN})")}),
targets as (
  select layer_id, rule_type, identifier from ended union
  select layer_id, rule_type, identifier from begun),
compared as (
  select k.*, {NAME} as layer, b.id as ended_id, p.id as live_id, p.rule_id as rule, p.policy as before,
    p.locked as before_locked, p.waits as live_waits, b.policy, b.cel_expr, b.custom_msg, b.custom_url,
    b.needs_level, b.grants_compiler, b.locked, b.starts_at, b.expires_at, b.comment,
    {BEFORE} is distinct from {LIVE} as noticed, b.comment is distinct from p.comment as remarked,
    {WHY} as why, coalesce({layer_in("$4")}, false) as in_scope
  from targets k
  join ({NAMED}) on l.id = k.layer_id
  left join ended b using (layer_id, rule_type, identifier)
  left join begun a using (layer_id, rule_type, identifier)
  left join ({VERSIONS.format("rule_version")} where v.closed_seq is null and v.cancelled_at is null) p
    using (layer_id, rule_type, identifier))
insert into import_step (n, layer, layer_id, rule_type, identifier, policy, cel_expr, custom_msg, custom_url,
  needs_level, grants_compiler, locked, starts_at, expires_at, comment, rule, before, before_locked, waits,
  noticed, why, action, in_scope)
select row_number() over (order by layer_id, rule_type, identifier), layer, layer_id, rule_type, identifier,
  policy, cel_expr, custom_msg, custom_url, needs_level, grants_compiler, locked, starts_at, expires_at,
  comment, rule, before, before_locked, live_waits, noticed, why,
  case when not noticed and not remarked then 'same'
    when why is not null then 'conflict'
    when ended_id is null then 'remove'
    when live_id is null then 'add'
    else 'change' end, in_scope
from compared"""  # noqa: S608 - constants
FOUND = """select action, count(*), count(*) filter (where in_scope) from import_step group by action"""
PLANNED = """select action, layer, rule_type, identifier, before, policy as after from import_step
  where action in ('add', 'change', 'remove') order by n limit $1"""
CONFLICTS = """
select s.layer, s.rule_type, s.identifier, s.why, c.seq, c.at, c.actor_name, c.kind
from (select * from import_step where action = 'conflict' order by n limit $2) s
left join lateral (
  select max(greatest(v.opened_seq, v.closed_seq)) as seq from rule_version v
  where v.layer_id = s.layer_id and v.rule_type = s.rule_type and v.identifier = s.identifier) x on true
left join policy_change c on c.seq = x.seq and x.seq > $1
order by s.n"""
LOOSENED = """select count(*), array_agg(distinct layer_id) from import_step
  where action in ('change', 'remove') and not waits and (before like '%BLOCKLIST' or before = 'CEL')
    and (not coalesce(policy like '%BLOCKLIST' or policy = 'CEL', false)
      or policy = 'CEL' and before <> 'CEL' or before_locked and not locked)"""
"""As `rules.loosening` judges a single rule."""


class Found(Struct, frozen=True):
    """How many rules there are of each kind of step, in all and in scope."""

    actions: dict[str, int]
    total: int
    in_scope: int


async def stage(
    connection: Connection, entry: LogEntry, scope: Scope, now: datetime, *, again: bool = False
) -> Found:
    """Work out what happens to each rule."""
    if again:
        await connection.execute("drop table import_step")
    await connection.execute(TABLE)
    await connection.execute(
        STEPS, entry.seq, entry.at, entry.actor_id, scope.tag_ids, now, timeout=STATEMENT_TIMEOUT
    )
    await connection.execute("analyze import_step")
    rows = await connection.fetch(FOUND)
    return Found({row[0]: row[1] for row in rows}, sum(row[1] for row in rows), sum(row[2] for row in rows))


async def planned(connection: Connection) -> Sequence[Any]:
    """Return the first steps."""
    return await connection.fetch(PLANNED, SHOWN)


async def conflicts(connection: Connection, seq: int) -> Sequence[Any]:
    """Return the first rules that have changed since, with the newest change of each."""
    return await connection.fetch(CONFLICTS, seq, SHOWN)


async def loosened(connection: Connection) -> tuple[int, list[int]]:
    """Return how many rules in force would block less, and their layers."""
    row = await connection.fetchrow(LOOSENED)
    return (row[0], row[1] or []) if row else (0, [])
