"""Machines in the database, as the REST interface reads them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import astuple

from santaserver.db import Connection
from santaserver.enrollment.refused_secret import RefusalReason
from santaserver.machines.sync_state import SYNC_STATE
from santaserver.paging import like_pattern
from santaserver.policy.withholding_repository import WITHHELD
from santaserver.reads import Row
from santaserver.scope import Scope, machine_in

REFUSAL_SHOWN = timedelta(days=7)

REFUSED_AT = f"""case
  when m.refused_at > $1::timestamptz - interval '{REFUSAL_SHOWN.total_seconds():.0f} seconds'
    and (m.refused_reason is null or y.last_preflight_at is null or m.refused_at > y.last_preflight_at)
  then m.refused_at end"""
"""When machine `m` was last refused; what was wrong with its secret only until it syncs again."""

LISTED = f"""
select m.machine_id, m.serial, m.hostname, m.model, m.os_version, m.os_build, m.santa_version,
  m.primary_user, m.client_mode, m.enrolled_at, m.binary_rules, m.certificate_rules, m.teamid_rules,
  m.signingid_rules, m.cdhash_rules, m.compiler_rules, m.transitive_rules, y.monitor_until, y.queued_clean,
  y.last_preflight_at, y.last_postflight_at, y.last_clean_at, y.pending_session, y.pending_sent,
  s.kind, s.clean_reason, s.sent_count, s.received_count, s.processed_count, s.started_at, s.finished_at,
  s.state as session_state, s.id as session_id, m.id as row_id, {SYNC_STATE} as sync_state, m.retired_at,
  m.released_at, {REFUSED_AT} as refused_at,
  array(
    select t.name from policy_signature p
    cross join unnest(p.layers) with ordinality as place (layer_id, rank)
    join layer l on l.id = place.layer_id join tag t on t.id = l.tag_id
    where p.id = y.signature order by place.rank) as tags
from machine m left join machine_sync y on y.machine_id = m.id
left join lateral (
  select * from sync_session s where s.machine_id = m.id order by s.id desc limit 1) s on true
"""  # noqa: S608 - constants
SHOWN = f"{LISTED} where m.machine_id = $2 and {machine_in('m.id', '$3')}"
SEARCHED = ("m.hostname", "m.serial", "m.machine_id", "m.primary_user", "m.model")

MEMBERSHIPS = f"""
select t.id, t.name, array_agg(b.source order by b.source) as sources, min(b.joined_at) as joined_at
from machine m
left join tag_member b on b.machine_id = m.id and b.left_at is null
left join tag t on t.id = b.tag_id and t.removed_at is null
left join layer l on l.tag_id = t.id
where m.machine_id = $1 and m.deleted_at is null and {machine_in("m.id", "$2")}
group by t.id, l.rank order by l.rank desc
"""  # noqa: S608 - a constant


HISTORY = [
    f"machine_{what}"
    for what in (
        "credential_changed",
        "credential_released",
        "credential_release_withdrawn",
        "retired",
        "restored",
        "reenrolled",
        "deleted",
    )
]
"""Acts on a machine's credential and its place in the fleet."""


class ListFilter(Struct, frozen=True):
    """Which machines a list shows."""

    text: str = ""
    retired: bool = False
    withheld: bool = False
    secret: int | None = None


class MachineRow(Struct, frozen=True):
    """A machine and its sync state."""

    id: int
    machine_id: str
    serial: str
    santa_version: str
    identity_conflict_at: datetime | None
    binary_rules: int
    certificate_rules: int
    teamid_rules: int
    signingid_rules: int
    cdhash_rules: int
    transitive_rules: int
    signature: int | None
    acked_signature: int | None
    acked_seq: int | None
    monitor_until: datetime | None
    last_preflight_at: datetime | None
    drift_since: datetime | None
    drift_cleans: int
    last_drift_clean_at: datetime | None
    expected_counts: Sequence[int] | None
    enrollment: int | None
    enrollment_label: str | None
    enrollment_ended: bool
    certificate: bytes | None
    refused_enrollment: str | None
    released_at: datetime | None
    refused_at: datetime | None
    retired_at: datetime | None
    refused_reason: RefusalReason | None
    refused_address: str | None
    secret: int | None
    secret_valid_until: datetime | None
    """Of a previous secret."""


FIND = f"""
select m.id, m.machine_id, m.serial, m.santa_version, m.identity_conflict_at, m.binary_rules,
  m.certificate_rules, m.teamid_rules, m.signingid_rules, m.cdhash_rules, m.transitive_rules, y.signature,
  y.acked_signature, y.acked_seq, y.monitor_until, y.last_preflight_at, y.drift_since,
  coalesce(y.drift_cleans, 0), y.last_drift_clean_at, y.expected_counts, m.enrollment_id, e.label,
  coalesce(e.revoked_at is not null or e.expires_at <= $1::timestamptz, false), m.client_certificate,
  r.label, m.released_at, {REFUSED_AT}, m.retired_at, m.refused_reason, m.refused_address,
  s.id, s.valid_until
from machine m left join machine_sync y on y.machine_id = m.id
left join enrollment e on e.id = m.enrollment_id left join enrollment r on r.id = m.refused_enrollment_id
left join enrollment_secret s on s.id = m.secret_id and s.enrollment_id = m.enrollment_id
where m.machine_id = $2 and m.deleted_at is null and {machine_in("m.id", "$3")}
"""  # noqa: S608 - constants


class SerialRow(Struct, frozen=True):
    """A serial number that a machine id was used with."""

    serial: str
    first_seen_at: datetime
    last_seen_at: datetime


class MonitorWindow(Struct, frozen=True):
    """A time in which one machine runs in MONITOR mode regardless of its settings."""

    row_id: int
    starts_at: datetime
    ends_at: datetime
    reason: str
    opened_by: int


async def list_machines(
    connection: Connection,
    scope: Scope,
    now: datetime,
    after: tuple[str, int] | None,
    limit: int,
    wanted: ListFilter,
) -> Sequence[Row]:
    """Return machines by host name, after the given (host name, row id)."""
    values: list[object] = [now, limit]
    where, more = filter_condition(scope, wanted, first=3)
    values += more
    if after is not None:
        values += after
        where += f" and (m.hostname, m.id) > (${len(values) - 1}, ${len(values)})"
    return await connection.fetch(f"{LISTED} where {where} order by m.hostname, m.id limit $2", *values)


def filter_condition(scope: Scope, wanted: ListFilter, *, first: int) -> tuple[str, list[object]]:
    """Return the condition of a list's filter, and its values, which begin at the parameter `first`."""
    condition = "m.retired_at is null"
    if wanted.retired:
        condition = "m.retired_at is not null and m.deleted_at is null"
    if wanted.withheld:
        condition += f" and m.id in ({WITHHELD})"
    values: list[object] = []
    if wanted.text.strip():
        values.append(like_pattern(wanted.text))
        condition += f" and ({' or '.join(f'{column} ilike ${first}' for column in SEARCHED)})"
    if wanted.secret is not None:
        values.append(wanted.secret)
        condition += f" and m.secret_id = ${first + len(values) - 1}"
    if not scope.everywhere:
        values.append(scope.tag_ids)
        condition += f" and {machine_in('m.id', f'${first + len(values) - 1}')}"
    return condition, values


async def count_machines(connection: Connection, scope: Scope, wanted: ListFilter) -> int:
    """Count the machines in scope that match a filter."""
    condition, values = filter_condition(scope, wanted, first=1)
    number: int = await connection.fetchval(
        f"select count(*) from machine m where {condition}",  # noqa: S608 - constants
        *values,
    )
    return number


async def read_machine(connection: Connection, scope: Scope, machine_id: str, now: datetime) -> Row:
    """Return one machine as a list shows it; it has to be there."""
    return await connection.fetchrow(SHOWN, now, machine_id, scope.tag_ids)


async def find_machine(
    connection: Connection, scope: Scope, machine_id: str, now: datetime
) -> MachineRow | None:
    """Return one machine with its progress, unless it was deleted."""
    row = await connection.fetchrow(FIND, now, machine_id, scope.tag_ids)
    return MachineRow(*row) if row else None


async def credential_history(connection: Connection, machine_id: str) -> Sequence[Row]:
    """Return what the audit log has of a machine's credential and its place in the fleet."""
    return await connection.fetch(
        """select at, actor_name, action, before, after from audit_log
           where object_type = 'machine' and object_id = $1 and action = any($2)
           order by id desc limit 20""",
        machine_id,
        HISTORY,
    )


async def lock_machine(
    connection: Connection, scope: Scope, machine_id: str, now: datetime
) -> MachineRow | None:
    """Return one machine, locked against its syncs and other changes in the order in which a sync locks."""
    await connection.execute("select from machine where machine_id = $1 for no key update", machine_id)
    await connection.execute(
        """select from machine_sync where machine_id = (select id from machine where machine_id = $1)
           for update""",
        machine_id,
    )
    return await find_machine(connection, scope, machine_id, now)


async def serials_of(connection: Connection, row_id: int) -> Sequence[SerialRow]:
    """Return the serial numbers that a machine id was used with."""
    rows = await connection.fetch(
        "select serial, first_seen_at, last_seen_at from machine_serial where machine_id = $1", row_id
    )
    return [SerialRow(*row) for row in rows]


async def queue_clean(connection: Connection, row_id: int, kind: str) -> None:
    """Order a clean sync; the stronger of two orders stays."""
    await connection.execute(
        """update machine_sync
           set queued_clean = case queued_clean when 'clean_all' then 'clean_all' else $2 end
           where machine_id = $1""",
        row_id,
        kind,
    )


async def memberships(connection: Connection, scope: Scope, machine_id: str) -> Sequence[Row] | None:
    """Return the tags of a machine with the reasons for each, the highest first; None without a machine."""
    rows = await connection.fetch(MEMBERSHIPS, machine_id, scope.tag_ids)
    return [row for row in rows if row["id"] is not None] if rows else None


async def set_monitor_until(connection: Connection, row_id: int, until: datetime | None) -> None:
    """Set until when a machine's syncs send MONITOR."""
    await connection.execute(
        "update machine_sync set monitor_until = $2 where machine_id = $1", row_id, until
    )


async def add_monitor_window(connection: Connection, window: MonitorWindow) -> None:
    """Store a new window."""
    await connection.execute(
        """insert into monitor_window (machine_id, starts_at, ends_at, reason, opened_by)
           values ($1, $2, $3, $4, $5)""",
        *astuple(window),
    )


async def end_monitor_windows(connection: Connection, row_id: int, user: int, now: datetime) -> None:
    """End the windows of a machine that are still open."""
    await connection.execute(
        """update monitor_window set ended_at = $3, ended_by = $2
           where machine_id = $1 and ended_at is null and ends_at > $3""",
        row_id,
        user,
        now,
    )
