"""What explanations are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct

from santaserver.db import Connection
from santaserver.paging import like_pattern
from santaserver.policy.capabilities import Capabilities, by_code, client_name
from santaserver.policy.precedence import IN_FORCE, PRECEDENCE, supported_at
from santaserver.policy.targets import Policy, RuleType
from santaserver.scope import Scope, machine_in


@dataclass(frozen=True, slots=True)
class MachinePolicy:
    """A machine's layers and client."""

    machine_id: str
    head: int
    confirmed: bool
    layers: Sequence[int]
    """Lowest rank first, as of the last preflight."""
    client: Capabilities
    name: str
    """The client's name for messages."""
    monitor_until: datetime | None


MACHINE_POLICY = f"""
select m.machine_id, h.seq,
  coalesce(y.acked_seq = h.seq and y.acked_signature = y.signature, false)
    and y.membership_fingerprint is not null,
  p.layers, p.capabilities, m.santa_version, y.monitor_until
from machine m join machine_sync y on y.machine_id = m.id join policy_signature p on p.id = y.signature
cross join policy_head h
where m.machine_id = $1 and {machine_in("m.id", "$2")}
"""  # noqa: S608 - a constant


async def machine_policy(connection: Connection, scope: Scope, machine_id: str) -> MachinePolicy | None:
    """Return a machine's layers; None when it is unknown or has never begun a sync."""
    row = await connection.fetchrow(MACHINE_POLICY, machine_id, scope.tag_ids)
    if row is None:
        return None
    found, head, confirmed, layers, code, version, monitor_until = row
    client = by_code(code)
    return MachinePolicy(found, head, confirmed, layers, client, client_name(client, version), monitor_until)


class WinningRule(Struct, frozen=True):
    """The version of a rule that wins for its target."""

    rule_id: int
    rule_type: RuleType
    identifier: str
    policy: Policy
    cel_expr: str | None
    layer_id: int
    locked: bool
    expires_at: datetime | None
    needs_level: int
    comment: str


class CandidateRow(Struct, frozen=True):
    """A version of a rule that is in force in one layer."""

    rule_id: int
    layer_id: int
    policy: Policy
    locked: bool
    needs_level: int


async def effective_rules(
    connection: Connection,
    machine: MachinePolicy,
    after: tuple[str, str],
    limit: int,
    text: str,
) -> Sequence[WinningRule]:
    """Return the winning rules of a machine that can be sent to it, by type and identifier, after a key."""
    rows = await connection.fetch(
        f"""select w.* from (
              select distinct on (v.rule_type, v.identifier) v.rule_id, v.rule_type, v.identifier, v.policy,
                v.cel_expr, v.layer_id, v.locked, v.expires_at, v.needs_level, v.comment
              from rule_version v where v.layer_id = any($1) and {IN_FORCE} and {supported_at("$5")}
                and (v.rule_type, v.identifier) > ($3, $4)
              order by v.rule_type, v.identifier, {PRECEDENCE}) w
            where w.policy = any($8) and w.rule_type = any($9)
              and ($6 = '%%' or w.identifier ilike $6 or w.comment ilike $6)
            order by w.rule_type, w.identifier limit $7""",  # noqa: S608 - constants of this package
        machine.layers,
        machine.head,
        *after,
        machine.client.level,
        like_pattern(text),
        limit,
        list(machine.client.policies),
        list(machine.client.rule_types),
    )
    return [WinningRule(*row) for row in rows]


async def candidates(
    connection: Connection, machine: MachinePolicy, rule_type: str, identifier: str
) -> Sequence[CandidateRow]:
    """Return the versions in force for a target in a machine's layers, in the order of precedence."""
    rows = await connection.fetch(
        f"""select v.rule_id, v.layer_id, v.policy, v.locked, v.needs_level from rule_version v
            where v.layer_id = any($1) and {IN_FORCE} and v.rule_type = $3 and v.identifier = $4
            order by {PRECEDENCE}""",  # noqa: S608 - constants
        machine.layers,
        machine.head,
        rule_type,
        identifier,
    )
    return [CandidateRow(*row) for row in rows]
