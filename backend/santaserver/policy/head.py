"""The policy's numbers: one row, whose lock puts all changes of the policy in a row.

It is held until the commit, so numbers become visible in their own order: a Mac that confirmed number 11
cannot have missed number 10. A sequence or a time would not guarantee that. A transaction that also locks
rows of machines locks those first, as syncs do. Only `change.py`, `schedule.py` and a restore write it.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from santaserver.db import Connection
from santaserver.policy.states import PolicyState

COLUMNS = "seq, settings_seq, layer_version, content_seq, next_change_at"


class PolicyHead(Struct, frozen=True):
    """The policy's present numbers."""

    seq: int
    """The newest change."""
    settings_seq: int
    """The newest change of any setting."""
    layer_version: int
    """Grows with every change of who belongs to which layer."""
    content_seq: int
    """The newest change of anything but memberships."""
    next_change_at: datetime | None
    """When the next activation or expiry is due."""

    def at_least(self, seq: int) -> "PolicyHead":
        """Return these numbers for someone who has seen a newer one, of whose content nothing is known."""
        return self if seq <= self.seq else structs.replace(self, seq=seq, content_seq=seq)

    def same_rules(self, state: PolicyState) -> PolicyState:
        """Return the earliest state with the same rules: the same for all that differ by memberships only."""
        if state.seq <= self.content_seq:
            return state
        return PolicyState(state.signature, self.content_seq)


class ChangeRow(Struct, frozen=True):
    """What a number stands for: an entry of the policy log."""

    seq: int
    at: datetime
    actor_kind: str
    actor_id: int | None
    actor_name: str
    kind: str
    reason: str
    request_id: str
    summary: str
    """JSON."""


STORE = """update policy_head set seq = $1, settings_seq = $2, layer_version = $3, content_seq = $4,
  next_change_at = $5"""
STORE_NUMBERED = f"""
with head as ({STORE})
insert into policy_change (seq, at, actor_kind, actor_id, actor_name, kind, reason, request_id, summary,
  latest_at)
values ($1, $6, $7, $8, $9, $10, $11, $12, $13::text::jsonb,
  greatest($6, (select latest_at from policy_change where seq < $1 order by seq desc limit 1)))
"""  # noqa: S608 - put together from constants

SEQ_AT = """
select greatest(
  coalesce(
    (select seq from policy_change where latest_at <= $1 order by latest_at desc, seq desc limit 1), 0),
  (select max(seq) from policy_change where at < latest_at and at <= $1))
"""
"""The newest of the numbers that are not after a moment, whatever the clock did in between."""
SPAN = """
select (select at from policy_change where seq = $1),
  (select at from policy_change where seq > $1 order by seq limit 1)
"""


async def read_head(connection: Connection) -> PolicyHead:
    """Return the present numbers without a lock."""
    row = await connection.fetchrow(f"select {COLUMNS} from policy_head")  # noqa: S608 - a constant
    return PolicyHead(*_found(row))


async def head_seq(connection: Connection) -> int:
    """Return the number of the newest policy change."""
    seq: int = await connection.fetchval("select seq from policy_head")
    return seq


async def seq_at(connection: Connection, at: datetime) -> int:
    """Return the number that was the newest at a moment."""
    seq: int = await connection.fetchval(SEQ_AT, at)
    return seq


async def span_of(connection: Connection, seq: int) -> tuple[datetime | None, datetime | None]:
    """Return when a number was made and when the one after it; None when it is the newest."""
    row = await connection.fetchrow(SPAN, seq)
    return (row[0], row[1]) if row else (None, None)


async def lock_head(connection: Connection) -> PolicyHead:
    """Lock out other writers until the end of the transaction; return the present numbers."""
    row = await connection.fetchrow(f"select {COLUMNS} from policy_head for update")  # noqa: S608 - a constant
    return PolicyHead(*_found(row))


def _found(row: Any) -> Any:  # noqa: ANN401 - a record
    if row is None:
        raise LookupError("the table policy_head is empty: the database was not migrated")
    return row


async def store_head(connection: Connection, head: PolicyHead, entry: ChangeRow | None) -> None:
    """Replace the numbers, and store what a new one stands for; the caller must have locked the row."""
    if entry is None:
        await connection.execute(STORE, *structs.astuple(head))
    else:
        await connection.execute(STORE_NUMBERED, *structs.astuple(head), *structs.astuple(entry)[1:])


async def skip_numbers(connection: Connection, past: int) -> None:
    """Give out no more number up to `past`, and no version of the layers."""
    await connection.execute(
        "update policy_head set seq = greatest(seq, $1), layer_version = greatest(layer_version, $1)", past
    )
