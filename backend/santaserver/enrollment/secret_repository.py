"""The secrets of enrollments in the database: the present one and those before it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from santaserver.clock import stamp
from santaserver.db import Connection
from santaserver.enrollment.refused_secret import Refused

SHOWN = 10
"""Of an enrollment, the newest; more when Macs still show them."""


def _time(column: str) -> str:
    """Return the SQL of a time as JSON has it, in UTC whatever the time zone of the session is."""
    return f"to_json({column} at time zone 'UTC') #>> '{{}}' || 'Z'"


SECRETS = f"""(
  select coalesce(json_agg(json_build_object(
    'id', s.id, 'secret_hash', encode(s.secret_hash, 'base64'), 'networks', s.networks,
    'created_at', {_time("s.created_at")}, 'created_by', coalesce(u.username, ''),
    'valid_until', {_time("s.valid_until")}, 'machines', s.machines, 'refused', s.refused,
    'refused_at', {_time("s.refused_at")}, 'refused_reason', s.refused_reason,
    'refused_address', s.refused_address, 'recent', s.place <= {SHOWN}) order by s.id desc), '[]')::text
  from (
    select s.*, row_number() over (order by s.id desc) as place,
      (select count(*) from machine m where m.secret_id = s.id and m.retired_at is null) as machines
    from enrollment_secret s where s.enrollment_id = e.id) s
  left join app_user u on u.id = s.created_by
  where s.place <= {SHOWN} or s.machines > 0)"""  # noqa: S608 - constants
"""The secrets of enrollment `e`, the newest first, as JSON."""


class SecretRow(Struct, frozen=True):
    """A secret of an enrollment."""

    id: int
    secret_hash: bytes
    networks: list[str]
    created_at: datetime
    created_by: str
    valid_until: datetime | None
    """null: the present one."""
    machines: int
    """Macs that showed it at their last preflight."""
    refused: int
    refused_at: datetime | None
    refused_reason: str | None
    refused_address: str | None
    recent: bool

    @property
    def plain(self) -> dict[str, object]:
        """What can be changed of it, as the audit log has it."""
        until = None if self.valid_until is None else stamp(self.valid_until)
        return {"id": self.id, "networks": self.networks, "valid_until": until}


def secrets_in(text: str) -> list[SecretRow]:
    """Return what `SECRETS` selected."""
    return msgspec.json.decode(text, type=list[SecretRow])


async def add_secret(
    connection: Connection,
    enrollment: int,
    secret_hash: bytes,
    networks: Sequence[str],
    now: datetime,
    created_by: int | None,
) -> None:
    """Store the secret of an enrollment that has no present one."""
    await connection.execute(
        """insert into enrollment_secret (enrollment_id, secret_hash, networks, created_at, created_by)
           values ($1, $2, $3, $4, $5)""",
        enrollment,
        secret_hash,
        networks,
        now,
        created_by,
    )


async def change_secret(
    connection: Connection, secret: int, networks: Sequence[str], valid_until: datetime | None
) -> None:
    """Replace from where and until when a secret is accepted; with an end it is a previous one."""
    await connection.execute(
        "update enrollment_secret set networks = $2, valid_until = $3 where id = $1",
        secret,
        networks,
        valid_until,
    )


async def is_known(connection: Connection, secret_hash: bytes) -> bool:
    """Tell whether an enrollment has or had this secret."""
    known: bool = await connection.fetchval(
        "select exists (select from enrollment_secret where secret_hash = $1)", secret_hash
    )
    return known


async def add_refusals(connection: Connection, secrets: Mapping[int, tuple[int, Refused]]) -> None:
    """Add to the numbers of refused requests; in order, so that two processes do not wait for each other."""
    for secret, (number, last) in sorted(secrets.items()):
        await connection.execute(
            """update enrollment_secret set refused = refused + $2, refused_at = $3, refused_reason = $4,
                 refused_address = $5 where id = $1""",
            secret,
            number,
            last.at,
            last.reason,
            last.address,
        )


async def note_refused_machines(connection: Connection, machines: Mapping[str, Refused]) -> None:
    """Note for Macs of the enrollment that they were refused; one that is being changed is left out."""
    if not machines:
        return
    last = machines.values()
    await connection.execute(
        """with refused as (
             select m.id, r.* from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[])
               as r (machine_id, enrollment_id, reason, address, at)
             join machine m on m.machine_id = r.machine_id and m.enrollment_id = r.enrollment_id
             where m.retired_at is null
             for no key update of m skip locked)
           update machine m set refused_at = r.at, refused_enrollment_id = r.enrollment_id,
             refused_reason = r.reason, refused_address = r.address
           from refused r where r.id = m.id""",
        list(machines),
        [one.enrollment for one in last],
        [one.reason for one in last],
        [one.address for one in last],
        [one.at for one in last],
    )
