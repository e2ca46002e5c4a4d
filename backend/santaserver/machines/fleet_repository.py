"""Which Macs are part of the fleet: the SQL of releasing, retiring, restoring and deleting them.

A retired Mac has no row in machine_sync, so whatever counts or reads Macs by their syncs leaves it out. Its
row in machine stays, as its events and the audit log refer to it, also after it was deleted.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from santaserver.db import Connection
from santaserver.enrollment.credentials import Credential
from santaserver.machines.repository import ListFilter, filter_condition
from santaserver.policy import member_log
from santaserver.policy.change import Change
from santaserver.scope import Scope, machine_in
from santaserver.sync.history import note_retired


class FleetRow(Struct, frozen=True):
    """A locked machine."""

    id: int
    machine_id: str
    hostname: str
    enrollment: int | None
    certificate: bytes | None
    released_at: datetime | None
    retired_at: datetime | None

    @property
    def credential(self) -> Credential:
        """What it is bound to."""
        return Credential(self.enrollment, self.certificate)


async def named(connection: Connection, scope: Scope, machine_ids: Sequence[str]) -> dict[str, int]:
    """Return the row ids of machines that were not deleted, by machine id."""
    rows = await connection.fetch(
        f"""select machine_id, id from machine m
            where machine_id = any($1) and deleted_at is null and {machine_in("m.id", "$2")}""",  # noqa: S608
        machine_ids,
        scope.tag_ids,
    )
    return {row["machine_id"]: row["id"] for row in rows}


async def matching(connection: Connection, scope: Scope, wanted: ListFilter) -> list[int]:
    """Return the row ids of the machines that a list with this filter shows."""
    condition, values = filter_condition(scope, wanted, first=1)
    rows = await connection.fetch(f"select m.id from machine m where {condition}", *values)  # noqa: S608
    return [row[0] for row in rows]


async def lock(connection: Connection, ids: Sequence[int]) -> list[FleetRow]:
    """Lock machines against their syncs, in the order in which a sync does."""
    rows = await connection.fetch(
        """select id, machine_id, hostname, enrollment_id, client_certificate, released_at, retired_at
           from machine where id = any($1) and deleted_at is null order by id for no key update""",
        ids,
    )
    await connection.execute(
        "select from machine_sync where machine_id = any($1) order by machine_id for update", ids
    )
    return [FleetRow(*row) for row in rows]


async def release(connection: Connection, ids: Sequence[int], now: datetime | None) -> None:
    """Let the next preflight of machines bring another credential; not any more without a time."""
    await connection.execute("update machine set released_at = $2 where id = any($1)", ids, now)


async def retire(change: Change, ids: Sequence[int]) -> bool:
    """Take machines out of the fleet; return whether they had tags.

    Their credential stays, for those that are restored.
    """
    connection, now = change.connection, change.now
    await connection.execute(
        """update machine set retired_at = $2, released_at = null, refused_at = null,
             refused_enrollment_id = null, refused_reason = null, refused_address = null
           where id = any($1)""",
        ids,
        now,
    )
    await connection.execute(
        """update sync_session set state = 'superseded', finished_at = $2
           where machine_id = any($1) and state = 'open'""",
        ids,
        now,
    )
    tagged = await member_log.end_of_machines(change, ids)
    await connection.execute("delete from withheld_layer where machine_id = any($1)", ids)
    await note_retired(connection, ids, now)
    await connection.execute("delete from machine_sync where machine_id = any($1)", ids)
    return tagged


async def restore(change: Change, ids: Sequence[int]) -> bool:
    """Make retired machines part of the fleet again; return whether they get tags back.

    Nothing is known of their rules.
    """
    connection = change.connection
    tagged = await member_log.return_to_machines(change, ids)
    await connection.execute("update machine set retired_at = null where id = any($1)", ids)
    await connection.execute("insert into machine_sync (machine_id) select unnest($1::bigint[])", ids)
    return tagged


async def delete(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Show retired machines no longer."""
    await connection.execute("update machine set deleted_at = $2 where id = any($1)", ids, now)
