"""What a preflight asks about an enrollment and writes about a machine's enrollment and serial numbers."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from santaserver.db import Connection
from santaserver.enrollment.credentials import Credential


class SecretRow(Struct, frozen=True):
    """What an enrollment asks of the Macs that show one of its secrets."""

    id: int
    quota: int | None
    serial_allowlist: Sequence[str] | None
    expires_at: datetime | None
    client_certificate: bool
    reenroll_retired: bool
    certificate_serial: bool
    revoked_at: datetime | None
    secret: int
    valid_until: datetime | None
    networks: Sequence[str]


KNOWN = "select id, retired_at, deleted_at, released_at, enrollment_id, client_certificate from machine"


class KnownRow(Struct, frozen=True):
    """A machine id that was used before."""

    id: int
    retired_at: datetime | None
    deleted_at: datetime | None
    released_at: datetime | None
    enrollment: int | None
    certificate: bytes | None

    @property
    def credential(self) -> Credential:
        """What it is bound to."""
        return Credential(self.enrollment, self.certificate)


async def find_by_secret(connection: Connection, hashed: bytes) -> SecretRow | None:
    """Return the enrollment of a secret, also of one that is no longer accepted."""
    row = await connection.fetchrow(
        """select e.id, e.quota, e.serial_allowlist, e.expires_at, e.client_certificate, e.reenroll_retired,
             e.certificate_serial, e.revoked_at, s.id, s.valid_until, s.networks
           from enrollment_secret s join enrollment e on e.id = s.enrollment_id
           where s.secret_hash = $1""",
        hashed,
    )
    return SecretRow(*row) if row else None


async def lock_and_count(connection: Connection, enrollment: int) -> int:
    """Return how many machines an enrollment has; nobody else counts until the end of the transaction."""
    await connection.execute("select from enrollment where id = $1 for update", enrollment)
    used: int = await connection.fetchval(
        "select count(*) from machine where enrollment_id = $1 and retired_at is null", enrollment
    )
    return used


async def find_known(connection: Connection, machine_id: str) -> KnownRow | None:
    """Return whether a machine id was used before."""
    row = await connection.fetchrow(f"{KNOWN} where machine_id = $1", machine_id)
    return KnownRow(*row) if row else None


async def lock_known(connection: Connection, machine_id: str) -> KnownRow | None:
    """Return whether a machine id was used before, and lock it against other enrollments."""
    row = await connection.fetchrow(f"{KNOWN} where machine_id = $1 for no key update", machine_id)
    return KnownRow(*row) if row else None


async def create_machine(
    connection: Connection, machine_id: str, credential: Credential, secret: int | None, now: datetime
) -> None:
    """Add an unknown machine; another request may have added it first."""
    row_id = await connection.fetchval(
        """insert into machine (machine_id, enrollment_id, client_certificate, enrolled_at, secret_id)
           values ($1, $2, $3, $4, $5) on conflict (machine_id) do nothing returning id""",
        machine_id,
        credential.enrollment,
        credential.certificate,
        now,
        secret,
    )
    if row_id is not None:
        await connection.execute("insert into machine_sync (machine_id) values ($1)", row_id)


async def take_back(connection: Connection, row_id: int, credential: Credential, now: datetime) -> None:
    """Make a retired or deleted machine part of the fleet again; nothing is known of its rules."""
    await connection.execute(
        """update machine set enrollment_id = $2, client_certificate = $3,
             enrolled_at = case when deleted_at is null then enrolled_at else $4 end,
             released_at = null, refused_at = null, refused_enrollment_id = null, refused_reason = null,
             refused_address = null, retired_at = null, deleted_at = null where id = $1""",
        row_id,
        credential.enrollment,
        credential.certificate,
        now,
    )
    await connection.execute("insert into machine_sync (machine_id) values ($1)", row_id)


async def set_credential(connection: Connection, row_id: int, credential: Credential) -> None:
    """Bind a machine; whatever was released or refused is settled by that."""
    await connection.execute(
        """update machine set enrollment_id = $2, client_certificate = $3, released_at = null,
             refused_at = null, refused_enrollment_id = null, refused_reason = null,
             refused_address = null where id = $1""",
        row_id,
        credential.enrollment,
        credential.certificate,
    )


async def set_secret(connection: Connection, row_id: int, secret: int) -> None:
    """Store which secret a machine's preflight showed."""
    await connection.execute("update machine set secret_id = $2 where id = $1", row_id, secret)


async def has_ended(connection: Connection, enrollment: int, now: datetime) -> bool:
    """Tell whether an enrollment's secret is refused for good."""
    ended: bool = await connection.fetchval(
        """select not exists (select from enrollment where id = $1 and revoked_at is null
             and (expires_at is null or expires_at > $2))""",
        enrollment,
        now,
    )
    return ended


async def store_refusal(connection: Connection, row_id: int, enrollment: int | None, now: datetime) -> None:
    """Store that another credential was refused for a machine."""
    await connection.execute(
        """update machine set refused_at = $3, refused_enrollment_id = $2, refused_reason = null,
             refused_address = null where id = $1""",
        row_id,
        enrollment,
        now,
    )


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
