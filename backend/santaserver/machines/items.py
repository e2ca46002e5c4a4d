"""Machines as lists write them. Pure."""

from datetime import datetime

from msgspec import Struct

from santaserver.machines.schemas import LastSync, Machine, MachineTag, RuleCounts
from santaserver.preconditions import entity_tag
from santaserver.reads import Row, item_of

machine_tag = item_of(MachineTag)
_machine, _rule_counts, _sync = item_of(Machine), item_of(RuleCounts), item_of(LastSync)

PLAIN = [name for name in Machine.model_fields if name not in {"rule_counts", "last_sync", "etag"}]
COUNTS = [f"{name}_rules" for name in RuleCounts.model_fields]


def machine_of(row: Row) -> Struct:
    """Build an item from a row of the repository, which has a column for each plain field."""
    return _machine(
        **{name: row[name] for name in PLAIN},
        rule_counts=_rule_counts(*(row[name] for name in COUNTS)),
        last_sync=_last_sync(row),
        etag=machine_etag(row["machine_id"], row["monitor_until"], row["retired_at"], row["released_at"]),
    )


def machine_etag(machine_id: str, *state: datetime | None) -> str:
    """Return the tag of a machine's version: of what administrators set, in the order of `service.STATE`."""
    return entity_tag("machine", machine_id, *state)


def _last_sync(row: Row) -> Struct | None:
    """Show the newest sync; a sync without changes has no row of its own."""
    began, started_at = row["last_preflight_at"], row["started_at"]
    if started_at is None or (began is not None and started_at < began):
        if began is None:
            return None
        ended = row["last_postflight_at"]
        done = ended if ended is not None and ended >= began else None
        got = None if done is None else 0
        return _sync("normal", None, 0, got, got, done)
    return _sync(
        kind=row["kind"],
        clean_reason=row["clean_reason"],
        sent=row["pending_sent"] if row["session_id"] == row["pending_session"] else row["sent_count"],
        received=row["received_count"],
        processed=row["processed_count"],
        finished_at=row["finished_at"] if row["session_state"] in {"acked", "refused"} else None,
    )
