"""Rules and their versions in the database."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from msgspec import Struct

from santaserver.db import Connection, rows_of
from santaserver.policy.change import Change
from santaserver.policy.layer_names import NAME, NAMED
from santaserver.rules.checks import CheckedContent, Schedule
from santaserver.rules.progress import COUNTS, LayerProgress, progress_of_layers
from santaserver.scope import Scope, layer_in


class RuleRow(Struct, frozen=True):
    """A rule with its live version, its layer's name and who made it."""

    id: int
    layer_id: int
    layer: str
    rule_type: str
    identifier: str
    policy: str
    cel_expr: str | None
    custom_msg: str
    custom_url: str
    needs_level: int
    grants_compiler: bool
    locked: bool
    comment: str
    reason: str
    starts_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
    author: str | None
    opened_seq: int | None


class RemovedRow(Struct, frozen=True):
    """A removed rule with its last version."""

    id: int
    layer_id: int
    layer: str
    rule_type: str
    identifier: str
    policy: str
    comment: str
    removed_at: datetime
    closed_seq: int | None


class Target(Struct, frozen=True):
    """What a version is about."""

    rule: int
    layer: int
    rule_type: str
    identifier: str


LIVE = f"""
select r.id, r.layer_id, {NAME}, r.rule_type, r.identifier, v.policy, v.cel_expr, v.custom_msg, v.custom_url,
  v.needs_level, v.grants_compiler, v.locked, v.comment, v.reason, v.starts_at, v.expires_at, r.created_at,
  u.username, v.opened_seq
from rule r
join rule_version v on v.rule_id = r.id and v.closed_seq is null and v.cancelled_at is null
join ({NAMED}) on l.id = r.layer_id
left join app_user u on u.id = r.created_by
where r.removed_at is null
"""  # noqa: S608 - put together from constants

ONE = f"{LIVE} and r.id = $1 and {layer_in('$2')}"

REMOVED = f"""
select r.id, r.layer_id, {NAME}, r.rule_type, r.identifier, v.policy, v.comment, r.removed_at, v.closed_seq
from rule r
join rule_version v on v.id = (select max(id) from rule_version where rule_id = r.id)
join ({NAMED}) on l.id = r.layer_id
where r.removed_at is not null and (r.removed_at, r.id) < ($1, $2) and {layer_in("$4")}
order by r.removed_at desc, r.id desc limit $3
"""  # noqa: S608 - put together from constants

EXPORT = f"""select * from (
    select ({NAME}) collate "C" as layer,
      r.rule_type, r.identifier, v.policy, v.cel_expr, v.custom_msg, v.custom_url, v.comment, v.locked,
      case when v.opened_seq is null then v.starts_at end as starts_at, v.expires_at
    from rule r
    join rule_version v on v.rule_id = r.id and v.closed_seq is null and v.cancelled_at is null
    join ({NAMED}) on l.id = r.layer_id
    where r.removed_at is null and ($1::bigint is null or r.layer_id = $1)
      and {layer_in("$2")}) rules
  order by layer, rule_type, identifier"""  # noqa: S608 - put together from constants
"""The columns are those of the file."""

OPEN = """
insert into rule_version (rule_id, layer_id, rule_type, identifier, policy, cel_expr, custom_msg, custom_url,
  needs_level, grants_compiler, locked, comment, reason, starts_at, expires_at, opened_seq, opened_at,
  opened_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
"""

END = """
update rule_version set closed_seq = case when opened_seq is not null then $2::bigint end,
  cancelled_at = case when opened_seq is null then $3::timestamptz end
where {} = $1 and closed_seq is null and cancelled_at is null
"""
"""A version in force is closed, a waiting one is canceled."""


async def find_rule(connection: Connection, scope: Scope, rule_id: int) -> RuleRow | None:
    """Return one live rule."""
    row = await connection.fetchrow(ONE, rule_id, scope.tag_ids)
    return RuleRow(*row) if row else None


async def numbers_of(connection: Connection, rule_id: int) -> list[int]:
    """Return the numbers under which a rule got new content."""
    rows = await connection.fetch(
        "select opened_seq from rule_version where rule_id = $1 and opened_seq is not null", rule_id
    )
    return [row[0] for row in rows]


async def rules_of_layer(connection: Connection, layer: int) -> list[RuleRow]:
    """Return all live rules of a layer."""
    return [RuleRow(*row) for row in await connection.fetch(f"{LIVE} and r.layer_id = $1", layer)]


async def removed_rules(
    connection: Connection, scope: Scope, before: tuple[datetime, int], limit: int
) -> list[RemovedRow]:
    """Return the rules removed before a moment, and of that moment those with a smaller id; latest first."""
    return [RemovedRow(*row) for row in await connection.fetch(REMOVED, *before, limit, scope.tag_ids)]


async def exported_rules(connection: Connection, scope: Scope, layer: int | None) -> Any:  # noqa: ANN401 - a cursor
    """Return a cursor on the live rules of one layer or of all, with the columns of the file."""
    return await connection.cursor(EXPORT, layer, scope.tag_ids)


async def add_rule(change: Change, layer: int, key: tuple[str, str]) -> int | None:
    """Add a rule without content for (type, identifier); return None when its target has a live one."""
    rule: int | None = await change.connection.fetchval(
        """insert into rule (layer_id, rule_type, identifier, created_at, created_by)
           values ($1, $2, $3, $4, $5) on conflict do nothing returning id""",
        layer,
        *key,
        change.now,
        change.actor.id,
    )
    return rule


async def open_version(
    change: Change, target: Target, content: CheckedContent, schedule: Schedule, comment: str
) -> None:
    """Give a rule content from this change on, or from a later one when it has to wait."""
    await change.connection.execute(
        OPEN,
        target.rule,
        target.layer,
        target.rule_type,
        target.identifier,
        content.policy,
        content.cel_expr,
        content.custom_msg,
        content.custom_url,
        content.needs_level,
        content.grants_compiler,
        content.locked,
        comment,
        change.reason,
        schedule.starts_at,
        schedule.expires_at,
        None if schedule.starts_at else change.take_number(),
        change.now,
        change.actor.id,
    )


async def end_version(change: Change, rule_id: int) -> None:
    """End a rule's content before this change; one that still waited is cancelled."""
    await change.connection.execute(END.format("rule_id"), rule_id, change.take_number(), change.now)


async def end_layer(change: Change, layer: int) -> int:
    """End all content of a layer before this change; return how many rules it had."""
    await change.connection.execute(END.format("layer_id"), layer, change.take_number(), change.now)
    done = await change.connection.execute(
        "update rule set removed_at = $2 where layer_id = $1 and removed_at is null", layer, change.now
    )
    return rows_of(done)


async def mark_removed(change: Change, rule_id: int) -> None:
    """Take a rule out of use; it stays in the log."""
    await change.connection.execute("update rule set removed_at = $2 where id = $1", rule_id, change.now)


async def progress(connection: Connection, layers: Collection[int]) -> dict[int, LayerProgress]:
    """Return how far the machines of each of these layers are."""
    row = await connection.fetchrow(
        f"""with wanted as (select unnest($1::bigint[]) as layer_id), {COUNTS}
            select totals, confirmed from counted""",  # noqa: S608 - a constant
        list(layers),
    )
    return progress_of_layers(*row) if row else {}
