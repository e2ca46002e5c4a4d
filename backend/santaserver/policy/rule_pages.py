"""The winning rules of some layers at any policy number, page by page, with where each one comes from.

Unlike `rule_sets`, which makes whole sets for Macs, this reads only what a page shows: from each layer as
many rules as the page has room for.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy.precedence import IN_FORCE, PRECEDENCE, supported_at
from santaserver.policy.rule_text import Key, RuleContent

PAGE = f"""
select w.*, u.username, c.at
from (
  select distinct on (v.rule_type, v.identifier) v.rule_type, v.identifier, v.policy, v.cel_expr,
    v.custom_msg, v.custom_url, v.needs_level, v.grants_compiler, v.id, v.rule_id, v.layer_id, v.locked,
    v.comment, v.reason, v.expires_at, v.opened_seq, v.opened_at, v.opened_by
  from unnest($1::bigint[]) l (id) cross join lateral (
    select * from rule_version v
    where v.layer_id = l.id and {IN_FORCE} and {supported_at("$6")}
      and (v.rule_type, v.identifier) > ($3, $4)
    order by v.rule_type, v.identifier limit $5) v
  order by v.rule_type, v.identifier, {PRECEDENCE}
  limit $5) w
left join app_user u on u.id = w.opened_by
left join policy_change c on c.seq = w.opened_seq
order by w.rule_type, w.identifier
"""  # noqa: S608 - put together from constants


class WinningVersion(Struct, frozen=True):
    """The version of a rule that wins for its target, and who wrote it when."""

    content: RuleContent
    id: int
    rule_id: int
    layer_id: int
    locked: bool
    comment: str
    reason: str
    expires_at: datetime | None
    opened_seq: int
    opened_at: datetime
    opened_by: str | None
    in_force_since: datetime | None

    @property
    def key(self) -> Key:
        """Its target."""
        return self.content.rule_type, self.content.identifier


async def winners_after(
    connection: Connection, layers: Sequence[int], seq: int, after: Key, limit: int, level: int
) -> list[WinningVersion]:
    """Return the first winning versions after a target for clients of a level, by type and identifier."""
    rows = await connection.fetch(PAGE, layers, seq, *after, limit, level)
    return [WinningVersion(RuleContent(*row[:8]), *row[8:17], *row[18:20]) for row in map(tuple, rows)]
