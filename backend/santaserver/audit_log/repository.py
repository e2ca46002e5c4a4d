"""The audit log in the database: pages, exports, the head."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from santaserver.audit import stamp
from santaserver.db import Connection, rows_of
from santaserver.merkle import Tree

CHECKPOINT_LOCK_KEY = 0x636865636B
"""Advisory lock of whoever makes a checkpoint."""

PAGE = """
select l.seq, l.body ->> 'at' as at, l.body #>> '{{actor,kind}}' as actor_kind,
  (l.body #>> '{{actor,id}}')::bigint as actor_id, d.body ->> 'actor' as actor_name,
  l.body ->> 'action' as action,
  l.body #>> '{{object,type}}' as object_type, l.body #>> '{{object,id}}' as object_id,
  (l.body ->> 'policy_seq')::bigint as policy_seq, l.body ->> 'request_id' as request_id,
  d.body ->> 'address' as address, d.body ->> 'reason' as reason,
  (d.body -> 'before')::text as before, (d.body -> 'after')::text as after, d.seq is null as erased
from audit_leaf l left join audit_detail d using (seq)
where l.seq < $1 {filters}
order by l.seq desc limit $2
"""
FILTERS = {
    "actor": "d.body ->> 'actor' = {}",
    "actor_kind": "l.body #>> '{{actor,kind}}' = {}",
    "action": "l.body ->> 'action' = {}",
    "object_type": "l.body #>> '{{object,type}}' = {}",
    "object_id": "l.body #>> '{{object,id}}' = {}",
    "since": """(l.body ->> 'at') collate "C" >= {}""",
    "until": """(l.body ->> 'at') collate "C" < {}""",
}
EXPORT = """
select l.seq, l.entry, l.root, d.salt, d.details
from audit_leaf l left join audit_detail d using (seq) where l.seq < $1 order by l.seq
"""


class Filters(Struct, frozen=True):
    """What a list of entries is limited to."""

    actor: str | None = None
    actor_kind: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class StoredCheckpoint(Struct, frozen=True):
    """A checkpoint that was made."""

    at: datetime
    size: int
    root: bytes
    note: str


async def read_page(connection: Connection, filters: Filters, before: int, limit: int) -> Sequence[Any]:
    """Return entries with their details, the newest first."""
    conditions, values = [], []
    for name, condition in FILTERS.items():
        wanted = getattr(filters, name)
        if wanted is not None:
            values.append(stamp(wanted) if isinstance(wanted, datetime) else wanted)
            conditions.append("and " + condition.format(f"${len(values) + 2}"))
    return await connection.fetch(PAGE.format(filters=" ".join(conditions)), before, limit, *values)


async def read_tree(connection: Connection) -> Tree:
    """Return the log's size and edge."""
    (row,) = await connection.fetch("select size, edge from audit_head")
    return Tree(row["size"], row["edge"])


async def exported(connection: Connection, size: int) -> Any:  # noqa: ANN401 - the driver's cursor
    """Return a cursor over the first `size` entries."""
    return await connection.cursor(EXPORT, size)


async def root_at(connection: Connection, size: int) -> bytes | None:
    """Return the root that the log had with so many entries; None when it has fewer."""
    root: bytes | None = await connection.fetchval("select root from audit_leaf where seq = $1", size - 1)
    return root


async def last_checkpoint(connection: Connection) -> StoredCheckpoint | None:
    """Return the newest checkpoint."""
    row = await connection.fetchrow(
        "select at, size, root, note from audit_checkpoint order by id desc limit 1"
    )
    return StoredCheckpoint(*row) if row else None


async def lock_checkpoints(connection: Connection) -> None:
    """Let one process at a time make a checkpoint."""
    await connection.execute("select pg_advisory_xact_lock($1)", CHECKPOINT_LOCK_KEY)


async def add_checkpoint(connection: Connection, checkpoint: StoredCheckpoint) -> None:
    """Store a checkpoint."""
    await connection.execute(
        "insert into audit_checkpoint (at, size, root, note) values ($1, $2, $3, $4)",
        checkpoint.at,
        checkpoint.size,
        checkpoint.root,
        checkpoint.note,
    )


async def oldest_details(connection: Connection) -> datetime | None:
    """Return when the oldest entry was made whose details are still there."""
    at: datetime | None = await connection.fetchval(
        """select (l.body ->> 'at')::timestamptz from audit_detail d join audit_leaf l using (seq)
           order by d.seq limit 1"""
    )
    return at


async def last_before(connection: Connection, at: datetime) -> int | None:
    """Return the last entry of those that precede all entries of this time and later."""
    seq: int | None = await connection.fetchval(
        """select seq - 1 from (
             select coalesce(
               (select min(seq) from audit_leaf where (body ->> 'at') collate "C" >= $1),
               (select max(seq) + 1 from audit_leaf)) as seq) first""",
        stamp(at),
    )
    return seq if seq is not None and seq >= 0 else None


async def erase_details(connection: Connection, last: int) -> int:
    """Delete the details of the entries up to this one; return how many there were."""
    return rows_of(await connection.execute("delete from audit_detail where seq <= $1", last))
