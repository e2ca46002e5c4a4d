"""Reads file accesses and agents' own actions, the newest first."""

from collections.abc import Sequence

from santaserver.db import Connection
from santaserver.events.repository import Position
from santaserver.paging import like_pattern
from santaserver.reads import Row
from santaserver.scope import Scope, machine_in


async def list_file_accesses(
    connection: Connection,
    scope: Scope,
    text: str,
    decision: str,
    machine_id: str,
    before: Position,
    limit: int,
) -> Sequence[Row]:
    """Return accesses whose rule or path contains a text; empty arguments do not filter."""
    rows: Sequence[Row] = await connection.fetch(
        f"""select e.id, coalesce(m.machine_id, '') as machine_id, coalesce(m.hostname, '') as hostname,
             e.occurred_at, e.received_at, e.rule_name, e.rule_version, e.target, e.decision,
             e.process_chain::text as process_chain
           from file_access_event e left join machine m on m.id = e.machine_id
           where (e.occurred_at, e.id) < ($1, $2)
             and ($3 = '%%' or e.rule_name ilike $3 or e.target ilike $3)
             and ($4 = '' or e.decision = $4)
             and ($5 = '' or e.machine_id = (select id from machine where machine_id = $5))
             and {machine_in("e.machine_id", "$7")}
           order by e.occurred_at desc, e.id desc limit $6""",  # noqa: S608 - a constant
        *before,
        like_pattern(text),
        decision,
        machine_id,
        limit,
        scope.tag_ids,
    )
    return rows


async def list_agent_audits(
    connection: Connection, scope: Scope, machine_id: str, before: Position, limit: int
) -> Sequence[Row]:
    """Return what agents did on their own; an empty machine id means all of them."""
    rows: Sequence[Row] = await connection.fetch(
        f"""select a.id, m.machine_id, m.hostname, a.occurred_at, a.received_at, a.kind,
             coalesce(a.detail->>'identifier', '') as identifier,
             coalesce(a.detail->>'decision', '') as decision
           from agent_audit_event a join machine m on m.id = a.machine_id
           where (a.occurred_at, a.id) < ($1, $2) and ($3 = '' or m.machine_id = $3)
             and {machine_in("a.machine_id", "$5")}
           order by a.occurred_at desc, a.id desc limit $4""",  # noqa: S608 - a constant
        *before,
        machine_id,
        limit,
        scope.tag_ids,
    )
    return rows
