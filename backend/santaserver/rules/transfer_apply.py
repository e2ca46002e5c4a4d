"""Applies an import's staged steps: a few statements under one number, for any number of rules."""

from santaserver.db import rows_of
from santaserver.policy.change import Change
from santaserver.policy.layer_ranks import MACHINE_RANK, USER_RANK
from santaserver.rules.transfer_staging import STATEMENT_TIMEOUT

USER_LAYERS = """insert into layer (kind, name, rank)
  select distinct 'user', substr(layer, length('user:') + 1), $1::integer from import_step
  where action = 'add' and layer_id is null and layer like 'user:%'
  on conflict (name) where kind = 'user' do nothing"""
MACHINE_LAYERS = """insert into layer (kind, name, rank, machine_id)
  select distinct 'machine', m.machine_id, $1::integer, m.id
  from import_step s join machine m on m.machine_id = substr(s.layer, length('machine:') + 1)
  where s.action = 'add' and s.layer_id is null and s.layer like 'machine:%'
  on conflict (machine_id) do nothing"""
MADE_LAYERS = """update import_step s set layer_id = l.id
  from layer l left join machine m on m.id = l.machine_id
  where s.action = 'add' and s.layer_id is null and l.kind in ('user', 'machine') and l.removed_at is null
    and s.layer = l.kind || ':' || coalesce(m.machine_id, l.name)"""
USED_LAYERS = """update layer set used = true
  where not used and id in (select layer_id from import_step where action = 'add')"""

ENDING = "select rule from import_step where action in ('change', 'remove')"
CANCEL = f"""update rule_version set cancelled_at = $1
  where rule_id in ({ENDING}) and closed_seq is null and opened_seq is null and cancelled_at is null"""  # noqa: S608 - constants
CLOSE = f"""update rule_version set closed_seq = $1
  where rule_id in ({ENDING}) and closed_seq is null and opened_seq is not null"""  # noqa: S608 - constants
REMOVE = """update rule set removed_at = $1
  where id in (select rule from import_step where action = 'remove')"""
ADD = """insert into rule (layer_id, rule_type, identifier, created_at, created_by)
  select layer_id, rule_type, identifier, $1, $2 from import_step where action = 'add' order by n"""
OPEN = """insert into rule_version (rule_id, layer_id, rule_type, identifier, policy, cel_expr, custom_msg,
    custom_url, needs_level, grants_compiler, locked, comment, reason, starts_at, expires_at, opened_seq,
    opened_at, opened_by)
  select coalesce(s.rule, r.id), s.layer_id, s.rule_type, s.identifier, s.policy, s.cel_expr, s.custom_msg,
    s.custom_url, s.needs_level, s.grants_compiler, s.locked, s.comment, $1, s.starts_at, s.expires_at,
    case when s.starts_at is null then $2::bigint end, $3, $4
  from import_step s left join rule r on s.action = 'add' and r.layer_id = s.layer_id
    and r.rule_type = s.rule_type and r.identifier = s.identifier and r.removed_at is null
  where s.action in ('add', 'change') order by s.n"""
CHANGES_ANY = "select exists (select from import_step where action in ('add', 'change', 'remove'))"
DUE = """select least(min(starts_at), min(expires_at)) from import_step
  where action in ('add', 'change')"""


async def apply(change: Change) -> int:
    """Apply every step under one number; return it, or the present one without any step."""
    connection, now = change.connection, change.now
    if not await connection.fetchval(CHANGES_ANY):
        return change.before.seq
    seq = change.take_number()
    await _make_layers(change)
    await connection.execute(CANCEL, now, timeout=STATEMENT_TIMEOUT)
    await connection.execute(CLOSE, seq, timeout=STATEMENT_TIMEOUT)
    await connection.execute(REMOVE, now, timeout=STATEMENT_TIMEOUT)
    await connection.execute(ADD, now, change.actor.id, timeout=STATEMENT_TIMEOUT)
    await connection.execute(OPEN, change.reason, seq, now, change.actor.id, timeout=STATEMENT_TIMEOUT)
    change.due_at(await connection.fetchval(DUE))
    return seq


async def _make_layers(change: Change) -> None:
    """Give those users and Macs a layer that get their first rule."""
    connection = change.connection
    await connection.execute(USER_LAYERS, USER_RANK, timeout=STATEMENT_TIMEOUT)
    await connection.execute(MACHINE_LAYERS, MACHINE_RANK, timeout=STATEMENT_TIMEOUT)
    await connection.execute(MADE_LAYERS, timeout=STATEMENT_TIMEOUT)
    if rows_of(await connection.execute(USED_LAYERS, timeout=STATEMENT_TIMEOUT)):
        change.layers_changed()
