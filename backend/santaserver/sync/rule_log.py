"""Queries on the policy log: what is in force at a number, and what changed since another one."""

from collections.abc import Sequence
from dataclasses import dataclass

from santaserver.db import Connection
from santaserver.sync.delta import Key, Winner
from santaserver.sync.states import PolicyState, RuleCounts

WINNER = "policy, cel_expr, custom_msg, custom_url, needs_level"
OPEN_AT = "opened_seq <= $2 and (closed_seq is null or closed_seq > $2)"

FIRST_KEY: Key = ("", "")
"""Sorts before every target."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The layers (lowest rank first) and the capability level behind a signature's id."""

    layers: tuple[int, ...]
    level: int


async def signature_id(connection: Connection, signature: Signature) -> int:
    """Return the id of a signature, storing it the first time."""
    await connection.execute(
        "insert into policy_signature (layers, capabilities) values ($1, $2) on conflict do nothing",
        signature.layers,
        signature.level,
    )
    found: int = await connection.fetchval(
        "select id from policy_signature where layers = $1 and capabilities = $2",
        signature.layers,
        signature.level,
    )
    return found


async def signature_of(connection: Connection, signature: int) -> Signature:
    """Return what a signature's id stands for."""
    row = await connection.fetchrow(
        "select layers, capabilities from policy_signature where id = $1", signature
    )
    if row is None:
        raise LookupError(f"policy signature {signature} is not stored")
    return Signature(tuple(row["layers"]), row["capabilities"])


async def winners(
    connection: Connection, layers: Sequence[int], seq: int, after: Key, limit: int | None
) -> list[Winner]:
    """Return the rules in force at `seq`, by target, beginning after `after`."""
    rows = await connection.fetch(
        f"""select distinct on (rule_type, identifier) rule_type, identifier, {WINNER}
            from rule_version
            where layer_id = any($1) and {OPEN_AT} and (rule_type, identifier) > ($3, $4)
            order by rule_type, identifier, array_position($1, layer_id) desc limit $5""",  # noqa: S608
        layers,
        seq,
        *after,
        limit,
    )
    return [Winner(*row) for row in rows]


async def changed_winners(
    connection: Connection, layers: Sequence[int], since: int, seq: int, after: Key, limit: int
) -> list[Winner]:
    """Return what is in force at `seq` for every target touched after `since`, or policy None."""
    rows = await connection.fetch(
        f"""with touched as (
              select rule_type, identifier from rule_version
              where layer_id = any($1) and opened_seq > $6 and opened_seq <= $2
              union
              select rule_type, identifier from rule_version
              where layer_id = any($1) and closed_seq > $6 and closed_seq <= $2)
            select t.rule_type, t.identifier, {WINNER} from touched t
            left join lateral (
              select {WINNER} from rule_version v
              where v.layer_id = any($1) and v.rule_type = t.rule_type and v.identifier = t.identifier
                and {OPEN_AT}
              order by array_position($1, v.layer_id) desc limit 1) w on true
            where (t.rule_type, t.identifier) > ($3, $4)
            order by 1, 2 limit $5""",  # noqa: S608 - constants of this file
        layers,
        seq,
        *after,
        limit,
        since,
    )
    return [_winner(row) for row in rows]


async def winners_of(
    connection: Connection, layers: Sequence[int], seq: int, keys: Sequence[Key]
) -> list[Winner]:
    """Return what is in force at `seq` for the given targets; policy None where nothing is."""
    rows = await connection.fetch(
        f"""select t.rule_type, t.identifier, {WINNER}
            from unnest($3::text[], $4::text[]) t(rule_type, identifier)
            left join lateral (
              select {WINNER} from rule_version v
              where v.layer_id = any($1) and v.rule_type = t.rule_type and v.identifier = t.identifier
                and {OPEN_AT}
              order by array_position($1, v.layer_id) desc limit 1) w on true""",  # noqa: S608
        layers,
        seq,
        [rule_type for rule_type, _ in keys],
        [identifier for _, identifier in keys],
    )
    by_key = {(row["rule_type"], row["identifier"]): _winner(row) for row in rows}
    return [by_key[key] for key in keys]


async def compiler_withdrawn(
    connection: Connection, base: PolicyState, base_layers: Sequence[int], layers: Sequence[int], seq: int
) -> bool:
    """Tell whether a target let compilers' output run at `base` and does not at `seq`."""
    found: bool = await connection.fetchval(
        f"""select exists (
              select from rule_version v
              where v.grants_compiler and v.layer_id = any($1) and {OPEN_AT}
                and not exists (
                  select from rule_version w
                  where w.grants_compiler and w.layer_id = any($3) and w.rule_type = v.rule_type
                    and w.identifier = v.identifier
                    and w.opened_seq <= $4 and (w.closed_seq is null or w.closed_seq > $4)))""",  # noqa: S608
        base_layers,
        base.seq,
        layers,
        seq,
    )
    return found


def count(rule_types: Sequence[str]) -> RuleCounts:
    """Count rules by type."""
    return RuleCounts(
        binary=rule_types.count("BINARY"),
        certificate=rule_types.count("CERTIFICATE"),
        teamid=rule_types.count("TEAMID"),
        signingid=rule_types.count("SIGNINGID"),
        cdhash=rule_types.count("CDHASH"),
    )


def _winner(row: Sequence[object]) -> Winner:
    rule_type, identifier, policy, cel_expr, custom_msg, custom_url, needs_level = row
    return Winner(
        str(rule_type),
        str(identifier),
        None if policy is None else str(policy),
        None if cel_expr is None else str(cel_expr),
        str(custom_msg or ""),
        str(custom_url or ""),
        int(str(needs_level or 0)),
    )
