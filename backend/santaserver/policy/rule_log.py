"""Queries on the policy log: what is in force at a number, and what changed since another one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from santaserver.cache import LruCache
from santaserver.db import Connection
from santaserver.policy.caches import PolicyCaches
from santaserver.policy.capabilities import Capabilities, by_code
from santaserver.policy.precedence import IN_FORCE, PRECEDENCE, in_force_at, supported_at
from santaserver.policy.rule_text import Key, RuleContent, RuleText, rule_text
from santaserver.policy.states import PolicyState


@dataclass(frozen=True, slots=True)
class Touched:
    """A changed target with its winning versions: at each base, and at the new state."""

    key: Key
    before: tuple[int | None, ...]
    after: int | None


SIGNATURE = """
select id from policy_signature where layers = $1 and capabilities = $2
  and hash_array_extended(layers, 0) = hash_array_extended($1::bigint[], 0)
  and hash_array_extended(layers, 1) = hash_array_extended($1::bigint[], 1)
"""
"""The hashes are the key of the index."""


async def signature_id(connection: Connection, caches: PolicyCaches, layers: Sequence[int], code: int) -> int:
    """Return the id of a signature, storing it the first time."""
    key = (tuple(layers), code)
    known = caches.signatures.get(key)
    if known is not None:
        return known
    found: int | None = await connection.fetchval(SIGNATURE, *key)
    if found is not None:
        return caches.signatures.put(key, found)
    # A new one is not cached: others cannot refer to it before this transaction commits.
    await connection.execute(
        "insert into policy_signature (layers, capabilities) values ($1, $2) on conflict do nothing", *key
    )
    stored: int = await connection.fetchval(SIGNATURE, *key)
    return stored


async def signature_of(
    connection: Connection, caches: PolicyCaches, signature: int
) -> tuple[tuple[int, ...], Capabilities]:
    """Return the layers, lowest rank first, and what the clients of a signature can read."""
    known = caches.layers.get(signature)
    if known is None:
        row = await connection.fetchrow(
            "select layers, capabilities from policy_signature where id = $1", signature
        )
        if row is None:
            raise LookupError(f"policy signature {signature} is not stored")
        known = caches.layers.put(signature, (tuple(row["layers"]), by_code(row["capabilities"])))
    return known


async def winners(connection: Connection, layers: Sequence[int], seq: int, level: int) -> list[int]:
    """Return the versions in force at `seq` for clients of a level, one for each target."""
    rows = await connection.fetch(
        f"""select distinct on (v.rule_type, v.identifier) v.id from rule_version v
            where v.layer_id = any($1) and {IN_FORCE} and {supported_at("$3")}
            order by v.rule_type, v.identifier, {PRECEDENCE}""",  # noqa: S608 - constants
        layers,
        seq,
        level,
    )
    return [row[0] for row in rows]


CHANGED = """
select rule_type, identifier from rule_version
where layer_id = any($1) and opened_seq > $5 and opened_seq <= $2
union
select rule_type, identifier from rule_version
where layer_id = any($1) and closed_seq > $5 and closed_seq <= $2
"""
GIVEN = "select * from unnest($5::text[], $6::text[]) g (rule_type, identifier)"


async def touched(
    connection: Connection,
    layers: Sequence[int],
    seq: int,
    bases: Sequence[int],
    level: int,
    targets: Sequence[Key] | None = None,
) -> list[Touched]:
    """Return the winning versions of given targets, or of all that changed after the earliest base."""
    which = [min(bases)] if targets is None else [list(part) for part in zip(*targets, strict=True)]
    rows = await connection.fetch(
        f"""with t as ({CHANGED if targets is None else GIVEN})
            select t.rule_type, t.identifier,
              array(select {_winner("b.at")} from unnest($3::bigint[]) with ordinality b(at, n)
                    order by b.n),
              {_winner("$2")}
            from t""",  # noqa: S608 - constants
        layers,
        seq,
        bases,
        level,
        *which,
    )
    return [Touched((row[0], row[1]), tuple(row[2]), row[3]) for row in rows]


async def sent(
    connection: Connection, caches: PolicyCaches, rows: Iterable[Touched], client: Capabilities
) -> dict[Key, bytes | None]:
    """Return the rules at the new state, None for no rule, of those targets where a base has another one.

    Without bases nothing is known of a Mac: then it is every rule.
    """
    rows = [
        row
        for row in rows
        if (any(version != row.after for version in row.before) if row.before else row.after is not None)
    ]
    wanted = {version for row in rows for version in (row.after, *row.before) if version is not None}
    texts = await texts_of(connection, caches.texts, wanted)

    def text(version: int | None) -> bytes | None:
        return None if version is None else texts[version].at(client)

    found = {row.key: (text(row.after), [text(version) for version in row.before]) for row in rows}
    return {
        key: after
        for key, (after, before) in found.items()
        if (any(was != after for was in before) if before else after is not None)
    }


def _winner(seq: str) -> str:
    """Return the query for the version of target `t` that wins at a policy number."""
    return f"""(select v.id from rule_version v
      where v.layer_id = any($1) and v.rule_type = t.rule_type and v.identifier = t.identifier
        and {in_force_at(seq)} and {supported_at("$4")} order by {PRECEDENCE} limit 1)"""  # noqa: S608 - constants


async def compilers(connection: Connection, layers: Sequence[int], seq: int, level: int) -> list[int]:
    """Return the winning versions at `seq` of targets that any version ever made a compiler."""
    rows = await connection.fetch(
        f"""select distinct on (v.rule_type, v.identifier) v.id
            from (select distinct rule_type, identifier from rule_version
                  where grants_compiler and layer_id = any($1)) t
            join rule_version v using (rule_type, identifier)
            where v.layer_id = any($1) and {IN_FORCE} and {supported_at("$3")}
            order by v.rule_type, v.identifier, {PRECEDENCE}""",  # noqa: S608 - constants
        layers,
        seq,
        level,
    )
    return [row[0] for row in rows]


async def texts_of(
    connection: Connection, known: LruCache[int, RuleText], versions: Iterable[int]
) -> dict[int, RuleText]:
    """Return what Macs are sent of these versions; only unknown ones are read."""
    texts: dict[int, RuleText] = {}
    missing: list[int] = []
    for version in versions:
        text = known.get(version)
        if text is None:
            missing.append(version)
        else:
            texts[version] = text
    if missing:
        rows = await connection.fetch(
            """select id, rule_type, identifier, policy, cel_expr, custom_msg, custom_url, needs_level,
                 grants_compiler from rule_version where id = any($1)""",
            missing,
        )
        for row in rows:
            texts[row[0]] = known.put(row[0], rule_text(RuleContent(*tuple(row)[1:])))
    return texts


def same_signature(
    bases: Sequence[PolicyState], target: PolicyState
) -> tuple[list[PolicyState], list[PolicyState]]:
    """Part states into those whose layers are the target's and the others."""
    same = [base for base in bases if base.signature == target.signature]
    return same, [base for base in bases if base.signature != target.signature]
