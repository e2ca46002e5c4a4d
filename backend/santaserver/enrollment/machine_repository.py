"""What a preflight asks about an enrollment and writes about a machine's enrollment and serial numbers."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from santaserver.db import Connection


class SecretRow(Struct, frozen=True):
    """What an enrollment that is not revoked asks of the Macs that show its secret."""

    id: int
    quota: int | None
    serial_allowlist: Sequence[str] | None
    expires_at: datetime | None
    client_certificate: bool


async def find_by_secret(connection: Connection, hashed: bytes) -> SecretRow | None:
    """Return the enrollment of a secret unless it is revoked."""
    row = await connection.fetchrow(
        """select id, quota, serial_allowlist, expires_at, client_certificate from enrollment
           where secret_hash = $1 and revoked_at is null""",
        hashed,
    )
    return SecretRow(*row) if row else None


async def lock_and_count(connection: Connection, enrollment: int) -> int:
    """Return how many machines an enrollment has; nobody else counts until the end of the transaction."""
    await connection.execute("select from enrollment where id = $1 for update", enrollment)
    used: int = await connection.fetchval("select count(*) from machine where enrollment_id = $1", enrollment)
    return used


async def set_enrollment(connection: Connection, row_id: int, enrollment: int) -> None:
    """Move a machine to an enrollment."""
    await connection.execute("update machine set enrollment_id = $2 where id = $1", row_id, enrollment)


async def end_serial(connection: Connection, row_id: int, serial: str) -> None:
    """Store that a serial number was last seen at the preflight before this one."""
    await connection.execute(
        """update machine_serial set last_seen_at = greatest(last_seen_at, y.last_preflight_at)
           from machine_sync y where y.machine_id = $1 and machine_serial.machine_id = $1 and serial = $2""",
        row_id,
        serial,
    )


async def add_serial(connection: Connection, row_id: int, serial: str, now: datetime) -> None:
    """Store that a serial number is seen now, for the first time or again."""
    await connection.execute(
        """insert into machine_serial as s (machine_id, serial, first_seen_at, last_seen_at)
           values ($1, $2, $3, $3)
           on conflict (machine_id, serial) do update set last_seen_at = excluded.last_seen_at""",
        row_id,
        serial,
        now,
    )


async def forget_serials(connection: Connection, row_id: int, serial: str, most: int) -> None:
    """Delete those that were seen longest ago; a serial number and the `most` seen last stay."""
    await connection.execute(
        """delete from machine_serial where machine_id = $1 and serial <> $2 and serial not in (
             select serial from machine_serial where machine_id = $1 order by last_seen_at desc limit $3)""",
        row_id,
        serial,
        most,
    )
