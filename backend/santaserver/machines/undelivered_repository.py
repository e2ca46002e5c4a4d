"""Finds the rules in force for a machine that its client does not support as they are."""

from collections.abc import Sequence

from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy.capabilities import NEWEST, Capabilities
from santaserver.policy.precedence import IN_FORCE, PRECEDENCE, supported_at
from santaserver.policy.targets import MASK, Policy, RuleType

SHOWN = 100

UNREADABLE = f"""{{0}}.policy <> '{MASK}'
  and ({{0}}.needs_level > $3 or {{0}}.rule_type <> all($4) or {{0}}.policy <> all($5))"""
"""A condition on versions of rules; few match, so it is applied before the winning version is determined."""


class UndeliveredRow(Struct, frozen=True):
    """The version of a rule that has precedence for its target, and how many of them are meant in all."""

    rule_id: int
    rule_type: RuleType
    identifier: str
    policy: Policy
    layer_id: int
    needs_level: int
    total: int
    next_layer: int | None
    """The layer of the rule that applies because this one cannot be sent."""
    next_policy: Policy | None


async def undelivered_rules(
    connection: Connection, layers: Sequence[int], seq: int, client: Capabilities
) -> Sequence[UndeliveredRow]:
    """Return the first such rules by type and identifier, each with the total number."""
    if client is NEWEST:
        return ()
    rows = await connection.fetch(
        f"""with suspect as (
              select distinct v.rule_type, v.identifier from rule_version v
              where v.layer_id = any($1) and {IN_FORCE} and {UNREADABLE.format("v")}),
            best as (
              select distinct on (v.rule_type, v.identifier) v.rule_id, v.rule_type, v.identifier, v.policy,
                v.layer_id, v.needs_level
              from suspect s join rule_version v using (rule_type, identifier)
              where v.layer_id = any($1) and {IN_FORCE}
              order by v.rule_type, v.identifier, {PRECEDENCE})
            select best.*, count(*) over () as total, below.layer_id, below.policy
            from best left join lateral (
              select v.layer_id, v.policy from rule_version v
              where v.layer_id = any($1) and v.rule_type = best.rule_type and v.identifier = best.identifier
                and {IN_FORCE} and {supported_at("$3")} and best.needs_level > $3
              order by {PRECEDENCE} limit 1) below on true
            where {UNREADABLE.format("best")}
            order by rule_type, identifier limit {SHOWN}""",  # noqa: S608 - constants of this package
        layers,
        seq,
        client.level,
        [rule_type for rule_type, word in client.rule_types.items() if word],
        [policy for policy, sent in client.policies.items() if policy == sent],
    )
    return [UndeliveredRow(*row) for row in rows]
