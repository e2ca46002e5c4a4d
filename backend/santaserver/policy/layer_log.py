"""Queries on single layers in the policy log, for changes that are made in parts: see `layer_rules.py`."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from santaserver.db import Connection
from santaserver.policy.layer_rules import LayerKey, Span
from santaserver.policy.precedence import supported_at
from santaserver.policy.rule_text import Key, RuleContent

PORTION = 500
"""Versions that are read at a time."""


CHANGED = """((v.opened_seq > $3 and v.opened_seq <= $2) or (v.closed_seq > $3 and v.closed_seq <= $2))"""
"""That version `v` was opened or closed between two policy numbers."""
PRESENT = "v.opened_seq <= $2 and (v.closed_seq is null or v.closed_seq > $3)"
"""That version `v` was in force at one of the numbers between them."""

# Each side has an index of its own; neither is read further than the limit.
COUNT_CHANGES = """
select (select count(*) from (
    select from rule_version where layer_id = $1 and opened_seq > $3 and opened_seq <= $2 limit $4) o)
  + (select count(*) from (
    select from rule_version where layer_id = $1 and closed_seq > $3 and closed_seq <= $2 limit $4) c)
"""
COUNT_ALL = f"""
select count(*) from (select from rule_version v where v.layer_id = $1 and {PRESENT} limit $4) w
"""  # noqa: S608 - constants
LAST_CHANGES = """
select p.layer, p.seq, greatest(0,
  (select max(opened_seq) from rule_version where layer_id = p.layer and opened_seq <= p.seq),
  (select max(closed_seq) from rule_version where layer_id = p.layer and closed_seq <= p.seq))
from unnest($1::bigint[], $2::bigint[]) p (layer, seq)
"""
VERSIONS = f"""
select v.id, v.opened_seq, v.closed_seq, v.rule_type, v.identifier, v.policy, v.cel_expr, v.custom_msg,
  v.custom_url, v.needs_level, v.grants_compiler
from rule_version v where v.layer_id = $1 and ({{concerned}}) and {supported_at("$4")}
order by v.rule_type, v.identifier, v.opened_seq
"""  # noqa: S608 - constants
KEYS = """
select distinct v.rule_type, v.identifier from rule_version v where v.layer_id = any($1) and ({concerned})
"""
# From the other layers' rules to the large layer's, whatever the statistics say right after an import.
SHARED = f"""
select distinct v.layer_id, v.rule_type, v.identifier from rule_version v cross join lateral (
  select from (select * from rule_version where layer_id = $4) c
  where c.rule_type = v.rule_type and c.identifier = v.identifier and ({{concerned}}) limit 1) c
where v.layer_id = any($1) and {PRESENT}
"""  # noqa: S608 - constants


class Version:
    """A version of a layer's rule, with the numbers between which it is in force."""

    __slots__ = ("closed", "id", "key", "opened", "row")

    def __init__(self, row: tuple[Any, ...]) -> None:
        """Take a row."""
        self.row = row
        self.id: int = row[0]
        self.opened: int = row[1]
        self.closed: int | None = row[2]
        self.key: Key = row[3:5]

    def is_in_force(self, seq: int) -> bool:
        """Tell whether it is at a policy number."""
        return self.opened <= seq and (self.closed is None or self.closed > seq)

    def rule(self) -> RuleContent:
        """Return its content."""
        return RuleContent(*self.row[3:])


async def size(connection: Connection, layer: int, span: Span, limit: int) -> int:
    """Return how many versions of a layer a span concerns; not exactly above the limit."""
    statement = COUNT_CHANGES if span.bases else COUNT_ALL
    number: int = await connection.fetchval(statement, layer, span.seq, span.start, limit)
    return number


async def last_changes(
    connection: Connection, moments: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], int]:
    """Return the newest change of a layer that is not after a policy number; 0 when there is none."""
    layers, seqs = zip(*moments, strict=True)
    rows = await connection.fetch(LAST_CHANGES, layers, seqs)
    return {(row[0], row[1]): row[2] for row in rows}


async def versions(connection: Connection, key: LayerKey, level: int) -> AsyncIterator[list[Version]]:
    """Yield the versions of one layer that a span concerns, ordered by target, some at a time."""
    statement = VERSIONS.format(concerned=_concerned(key.span))
    async with connection.transaction():
        cursor = await connection.cursor(statement, key.layer, key.span.seq, key.span.start, level)
        while rows := await cursor.fetch(PORTION):
            yield [Version(tuple(row)) for row in rows]


async def keys_of(connection: Connection, layers: Sequence[int], span: Span) -> set[Key]:
    """Return the targets in these layers that a span concerns."""
    statement = KEYS.format(concerned=_concerned(span))
    return set(map(tuple, await connection.fetch(statement, layers, span.seq, span.start)))


async def shared_with(
    connection: Connection, layer: int, others: Sequence[int], span: Span
) -> dict[int, list[Key]]:
    """Return, for each of the other layers, its targets that a span concerns in `layer`."""
    statement = SHARED.format(concerned=_concerned(span).replace("v.", "c."))
    found: dict[int, list[Key]] = {other: [] for other in others}
    for other, *key in await connection.fetch(statement, others, span.seq, span.start, layer):
        found[other].append((key[0], key[1]))
    return found


def _concerned(span: Span) -> str:
    return CHANGED if span.bases else PRESENT


def by_target(portion: Iterable[Version]) -> list[list[Version]]:
    """Put the versions of each target together."""
    groups: list[list[Version]] = []
    for version in portion:
        if groups and groups[-1][0].key == version.key:
            groups[-1].append(version)
        else:
            groups.append([version])
    return groups
