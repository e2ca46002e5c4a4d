"""Enrollments in the database, as the REST interface reads and writes them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, structs
from msgspec.structs import astuple

from santaserver.db import Connection
from santaserver.enrollment.secret_repository import SECRETS, SecretRow, add_secret, is_known, secrets_in

SELECT = f"""
select e.id, e.label, e.quota, e.serial_allowlist, e.expires_at, e.client_certificate,
  e.certificate_serial, e.reenroll_retired,
  e.revoked_at, e.created_at, coalesce(u.username, ''),
  (select count(*) from machine m where m.enrollment_id = e.id and m.retired_at is null),
  array(select t.name from tag t join tag_enrollment x on x.tag_id = t.id
        where x.enrollment_id = e.id and t.removed_at is null order by t.name),
  {SECRETS}
from enrollment e left join app_user u on u.id = e.created_by
"""  # noqa: S608 - a constant

ADD = """
insert into enrollment (label, quota, serial_allowlist, expires_at, client_certificate,
  certificate_serial, reenroll_retired, created_at, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id
"""


class NewEnrollment(Struct, frozen=True):
    """An enrollment to store; its secret as a hash only."""

    label: str
    quota: int | None
    serial_allowlist: Sequence[str] | None
    expires_at: datetime | None
    client_certificate: bool
    certificate_serial: bool
    reenroll_retired: bool
    created_at: datetime
    created_by: int | None
    """null: the command line."""


class EnrollmentRow(Struct, frozen=True):
    """An enrollment with its tags and the number of its Macs."""

    id: int
    label: str
    quota: int | None
    serial_allowlist: list[str] | None
    expires_at: datetime | None
    client_certificate: bool
    certificate_serial: bool
    reenroll_retired: bool
    revoked_at: datetime | None
    created_at: datetime
    created_by: str
    """User name; empty when it was created on the command line."""
    machines: int
    tags: list[str]
    secrets: list[SecretRow] = []
    """The newest first."""

    @property
    def present(self) -> SecretRow:
        """The secret that profiles contain."""
        return next(secret for secret in self.secrets if secret.valid_until is None)

    @property
    def versions(self) -> list[dict[str, object]]:
        """What can be changed of its secrets, as the audit log has it."""
        return [secret.plain for secret in self.secrets if secret.recent]


def _enrollment(*columns: Any) -> EnrollmentRow:  # noqa: ANN401 - values of a record
    *plain, secrets = columns
    return structs.replace(EnrollmentRow(*plain), secrets=secrets_in(secrets))


async def list_enrollments(connection: Connection, before: int, limit: int) -> Sequence[EnrollmentRow]:
    """Return enrollments, the newest first, before the given id."""
    rows = await connection.fetch(f"{SELECT} where e.id < $1 order by e.id desc limit $2", before, limit)
    return [_enrollment(*row) for row in rows]


async def find_enrollment(connection: Connection, number: int) -> EnrollmentRow | None:
    """Return one enrollment."""
    row = await connection.fetchrow(f"{SELECT} where e.id = $1", number)
    return _enrollment(*row) if row else None


async def lock_enrollment(connection: Connection, number: int) -> None:
    """Lock an enrollment until the end of the transaction."""
    await connection.execute("select from enrollment where id = $1 for update", number)


async def add_enrollment(
    connection: Connection, enrollment: NewEnrollment, secret_hash: bytes, networks: Sequence[str] = ()
) -> int:
    """Store a new enrollment with its secret and return its id."""
    number: int = await connection.fetchval(ADD, *astuple(enrollment))
    await add_secret(connection, number, secret_hash, networks, enrollment.created_at, enrollment.created_by)
    return number


async def add_unless_known(
    connection: Connection, enrollment: NewEnrollment, secret_hash: bytes
) -> int | None:
    """Store a new enrollment and return its id, unless there is one with its secret."""
    await connection.execute("lock table enrollment_secret in share row exclusive mode")
    if await is_known(connection, secret_hash):
        return None
    return await add_enrollment(connection, enrollment, secret_hash)


async def tags_by_name(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of live tags by name in lower case."""
    rows = await connection.fetch(
        "select name, id from tag where lower(name) = any($1) and removed_at is null",
        [name.lower() for name in names],
    )
    return {row["name"].lower(): row["id"] for row in rows}


async def add_tags(connection: Connection, enrollment: int, tags: Sequence[int]) -> None:
    """Make the enrollment's machines members of these tags."""
    await connection.execute(
        "insert into tag_enrollment (tag_id, enrollment_id) select unnest($2::bigint[]), $1",
        enrollment,
        sorted(set(tags)),
    )


async def set_terms(
    connection: Connection,
    enrollment: int,
    label: str,
    quota: int | None,
    expires_at: datetime | None,
    *,
    client_certificate: bool,
    certificate_serial: bool,
    reenroll_retired: bool,
) -> None:
    """Replace what can be changed of an enrollment besides its list of serial numbers."""
    await connection.execute(
        """update enrollment set label = $2, quota = $3, expires_at = $4, client_certificate = $5,
             certificate_serial = $6, reenroll_retired = $7 where id = $1""",
        enrollment,
        label,
        quota,
        expires_at,
        client_certificate,
        certificate_serial,
        reenroll_retired,
    )


async def set_serials(connection: Connection, enrollment: int, serials: Sequence[str] | None) -> None:
    """Replace the list of serial numbers that may use an enrollment."""
    await connection.execute("update enrollment set serial_allowlist = $2 where id = $1", enrollment, serials)


async def revoke(connection: Connection, enrollment: int, user_id: int, now: datetime) -> None:
    """Refuse its secret from now on."""
    await connection.execute(
        "update enrollment set revoked_at = $3, revoked_by = $2 where id = $1", enrollment, user_id, now
    )
