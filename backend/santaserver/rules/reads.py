"""The list of rules: one statement with any filters."""

import time
from dataclasses import dataclass

from msgspec import Struct

from santaserver.db import Connection
from santaserver.errors import NotFound
from santaserver.layers.service import missing, parts
from santaserver.paging import decode_cursor, like_pattern
from santaserver.policy.layer_names import NAME, NAMED
from santaserver.reads import ItemPage, Row, item_of, page_of
from santaserver.rules.progress import COUNTS, NOBODY, FleetProgress, LayerProgress
from santaserver.rules.schemas import Rule
from santaserver.rules.version import rule_etag
from santaserver.scope import Scope, layer_in

OWNER = """case l.kind when 'tag' then lower(t.name) = lower($2) when 'user' then l.name = lower($2)
  when 'machine' then m.machine_id = $2 else true end"""

PAGE = f"""
with page as materialized (
  select r.id, {NAME} as layer, r.rule_type, r.identifier, v.policy, v.cel_expr, v.custom_msg, v.custom_url,
    v.comment, v.reason, v.locked, v.starts_at, v.expires_at, r.created_at, u.username, v.opened_seq as seq,
    r.layer_id
  from rule r
  join rule_version v on v.rule_id = r.id and v.closed_seq is null and v.cancelled_at is null
  join ({NAMED}) on l.id = r.layer_id
  left join app_user u on u.id = r.created_by
  where r.removed_at is null {{conditions}}
  order by r.id desc limit $1),
wanted as (select distinct layer_id from page where layer_id <> all($2::bigint[])),
{COUNTS}
select p.*, c.totals, c.confirmed, c.fleet from page p
left join counted c on p.id = (select max(id) from page)
order by p.id desc
"""  # noqa: S608 - put together from constants


IS_LAYER = f"""
select exists (select from {NAMED}
  where l.removed_at is null and l.kind = $1 and {OWNER} and {layer_in("$3")})
"""  # noqa: S608 - put together from constants

_rule = item_of(Rule)


@dataclass(frozen=True, slots=True)
class RuleQuery:
    """The filters of a list of rules."""

    cursor: str | None = None
    limit: int = 50
    text: str = ""
    layer: str | None = None
    rule_type: str | None = None
    policy: str | None = None


async def list_rules(
    connection: Connection, scope: Scope, query: RuleQuery, fleet: FleetProgress
) -> ItemPage:
    """Return a page of live rules, the newest first."""
    statement, arguments = _statement(scope, query)
    now = time.monotonic()
    known = fleet.known(now)
    rows = await connection.fetch(statement, query.limit + 1, list(known), *arguments)
    if not rows and query.layer is not None:
        await _check_layer(connection, scope, query.layer)
    progress = known | fleet.learn(rows[0][17:], now) if rows else known
    return page_of(
        rows, query.limit, lambda row: _item(row, progress.get(row[16], NOBODY)), lambda row: (row["id"],)
    )


def _item(row: Row, progress: LayerProgress) -> Struct:
    seq = row[15]
    state, acked = ("waiting", 0) if seq is None else ("active", progress.confirmed(seq))
    # in the order of version.STATE
    etag = rule_etag(row[0], (*row[4:9], row[10], row[11], row[12], seq))
    return _rule(*(*row[:11], state, *row[11:15], seq, acked, progress.total, etag))


def _statement(scope: Scope, query: RuleQuery) -> tuple[str, list[object]]:
    """Return the statement with the conditions that are asked for, and their values from $3 on."""
    conditions: list[str] = []
    values: list[object] = []

    def add(condition: str, value: object) -> None:
        values.append(value)
        conditions.append(f"and {condition.format(len(values) + 2)}")

    if not scope.everywhere:
        add(layer_in("${0}"), scope.tag_ids)
    if query.layer is not None:
        kind, owner = parts(query.layer)
        add(OWNER.replace("$2", "${0}"), owner)
        add("l.removed_at is null and l.kind = ${0}", kind)
    key = decode_cursor(query.cursor, (int,))
    if key:
        add("r.id < ${0}", key[0])
    if query.rule_type is not None:
        add("r.rule_type = ${0}", query.rule_type)
    if query.policy is not None:
        add("v.policy = ${0}", query.policy)
    if query.text.strip():
        fields = ("r.identifier", "v.comment", "v.custom_msg", "v.cel_expr")
        add("(" + " or ".join(f"{field} ilike ${{0}}" for field in fields) + ")", like_pattern(query.text))
    return PAGE.format(conditions=" ".join(conditions)), values


async def _check_layer(connection: Connection, scope: Scope, name: str) -> None:
    kind, owner = parts(name)
    found = await connection.fetchval(
        IS_LAYER,
        kind,
        owner,
        scope.tag_ids,
    )
    if not found:
        raise NotFound(missing(kind))
