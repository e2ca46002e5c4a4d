"""Writes uploads in bulk: each kind of event in one statement that commits on its own.

A repetition is recognized by machine, time, program, decision and process: the unique key. The same statement
notes how many rows were actually added, for counts.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from santaserver.db import Connection
from santaserver.enrollment.credentials import FITS, Credential
from santaserver.events.counts import HOUR
from santaserver.events.oddities import cut
from santaserver.events.parse import AuditRow, ExecutionRow, FileAccessRow
from santaserver.events.plausible import MAX_ITEMS, MAX_NAME, MAX_TEXT, quarantine
from santaserver.events.repository import Position

SEPARATOR = "\x1f"
"""Between the values of a column: the control character that is meant for it, and in no name."""

ADD_EXECUTIONS = f"""
with reporter as (
  select id, hostname from machine m
  where m.machine_id = $1 and m.retired_at is null and {FITS.format("m", "$17", "$18")}),
added as (
  insert into event (occurred_at, received_at, machine_id, program_id, pid, ppid, decision, static_rule,
    file_name, file_path, executing_user, parent_name, logged_in_users, current_sessions, quarantine)
  select e.occurred_at, $2, reporter.id, e.program, e.pid, e.ppid, e.decision, e.static_rule, e.file_name,
    e.file_path, e.executing_user, e.parent_name, string_to_array(e.logged_in, E'\\n'),
    string_to_array(e.sessions, E'\\n'), nullif(e.quarantine, '')::jsonb
  from reporter, unnest($3::timestamptz[], string_to_array($4, ',')::boolean[],
    string_to_array($5, ',')::bigint[], string_to_array($6, ',')::integer[],
    string_to_array($7, ',')::integer[], string_to_array($8, E'\\x1f'),
    string_to_array($9, ',')::boolean[], string_to_array($10, E'\\x1f'), string_to_array($11, E'\\x1f'),
    string_to_array($12, E'\\x1f'), string_to_array($13, E'\\x1f'), string_to_array($14, E'\\x1f'),
    string_to_array($15, E'\\x1f'), string_to_array($16, E'\\x1f'))
    e(occurred_at, timed, program, pid, ppid, decision, static_rule, file_name, file_path, executing_user,
      parent_name, logged_in, sessions, quarantine)
  where e.program is not null and (e.timed or not exists (
    select from event other
    where other.machine_id = reporter.id and other.occurred_at > $2::timestamptz - interval '2 days'
      and other.program_id = e.program and other.pid = e.pid and other.decision = e.decision))
  on conflict do nothing returning id, occurred_at, program_id, decision, blocked),
counted as (
  insert into event_count_delta (hour, program_id, decision, events)
  select {HOUR}, program_id, decision, count(*) from added group by 1, 2, 3)
select id, hostname, (
    select json_object_agg(decision, events)::text from (
      select decision, count(*) as events from added group by decision) d) as decisions,
  notable.at, notable.ids
from reporter, (
  select array_agg(occurred_at order by not blocked, id) as at, array_agg(id order by not blocked, id) as ids
  from added where blocked or decision = 'ALLOW_UNKNOWN') notable
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Added:
    """What an upload added."""

    machine: int
    hostname: str
    decisions: Mapping[str, int] = field(default_factory=dict)
    """How many new executions had which decision."""
    notable: tuple[Position, ...] = ()
    """(time, id) of the new executions to look at: the blocked ones, then those that no rule allowed."""


FIND = f"""select id, hostname from machine m
  where m.machine_id = $1 and m.retired_at is null and {FITS.format("m", "$2", "$3")}"""  # noqa: S608 - constants


class Reporter(Struct, frozen=True):
    """Who uploads: a machine id, and the credential that the request shows."""

    machine_id: str
    shown: Credential


async def find_machine(connection: Connection, reporter: Reporter) -> Added | None:
    """Return the machine that reports; None when it is not known, or has another credential."""
    row = await connection.fetchrow(
        FIND, reporter.machine_id, reporter.shown.enrollment, reporter.shown.certificate
    )
    return None if row is None else Added(row["id"], row["hostname"])


async def add_executions(
    connection: Connection,
    reporter: Reporter,
    rows: Sequence[ExecutionRow],
    programs: dict[str, int],
    now: datetime,
) -> Added | None:
    """Add the executions that are not there yet; None when `find_machine` finds none."""
    if not rows:
        return await find_machine(connection, reporter)
    events = [row.event for row in rows]
    row = await connection.fetchrow(
        ADD_EXECUTIONS,
        reporter.machine_id,
        now,
        [row.occurred_at for row in rows],
        _numbers(row.timed for row in rows),
        _numbers(programs[row.sha256] for row in rows),
        _numbers(event.pid for event in events),
        _numbers(event.ppid for event in events),
        _texts([row.decision for row in rows]),
        _numbers(event.static_rule for event in events),
        _texts(cut([event.file_name for event in events], MAX_NAME)),
        _texts(cut([event.file_path for event in events], MAX_TEXT)),
        _texts(cut([event.executing_user for event in events], MAX_NAME)),
        _texts(cut([event.parent_name for event in events], MAX_NAME)),
        _texts([_lines(event.logged_in_users) for event in events]),
        _texts([_lines(event.current_sessions) for event in events]),
        _texts([_json(quarantine(event)) or "" for event in events]),
        reporter.shown.enrollment,
        reporter.shown.certificate,
    )
    if row is None:
        return None
    notable = tuple(zip(row["at"] or (), row["ids"] or (), strict=True))
    decisions: dict[str, int] = msgspec.json.decode(row["decisions"] or "{}")
    return Added(row["id"], row["hostname"], decisions, notable)


async def add_file_accesses(
    connection: Connection, machine: int, rows: Sequence[FileAccessRow], now: datetime
) -> None:
    """Add file accesses that were not there yet."""
    if rows:
        await connection.execute(
            """insert into file_access_event (occurred_at, received_at, machine_id, rule_name, rule_version,
                 target, decision, process_chain, dedupe_key)
               select a.at, $1, $2, a.rule_name, a.rule_version, a.target, a.decision, a.chain, a.key
               from unnest($3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
                 $9::bytea[]) a(at, rule_name, rule_version, target, decision, chain, key)
               where not exists (
                 select from file_access_event other
                 where other.machine_id = $2 and other.occurred_at > $1::timestamptz - interval '2 days'
                   and other.dedupe_key = a.key)
               on conflict do nothing""",
            now,
            machine,
            [row.occurred_at for row in rows],
            cut([row.event.rule_name for row in rows], MAX_NAME),
            cut([row.event.rule_version for row in rows], MAX_NAME),
            cut([row.event.target for row in rows], MAX_TEXT),
            [row.decision for row in rows],
            [_json(row.event.process_chain) for row in rows],
            [row.key for row in rows],
        )


async def add_audits(connection: Connection, machine: int, rows: Sequence[AuditRow], now: datetime) -> None:
    """Add what the agent did, unless it is there already."""
    if rows:
        await connection.execute(
            """insert into agent_audit_event (occurred_at, received_at, machine_id, kind, detail, dedupe_key)
               select a.at, $1, $2, a.kind, a.detail, a.key
               from unnest($3::timestamptz[], $4::text[], $5::jsonb[], $6::bytea[]) a(at, kind, detail, key)
               on conflict do nothing""",
            now,
            machine,
            [row.occurred_at for row in rows],
            [row.kind for row in rows],
            [_json(row.detail) for row in rows],
            [row.key for row in rows],
        )


def _numbers(values: Iterable[float]) -> str:
    """Return a column as one text: of arrays, the driver asks each element whether it is an array too."""
    return ",".join(map(str, values))


def _texts(values: list[str]) -> str:
    """Return a column as one text that ends with a separator: one empty value is not an empty column."""
    joined = SEPARATOR.join(values)
    if SEPARATOR in joined and joined.count(SEPARATOR) >= len(values):
        joined = SEPARATOR.join(value.replace(SEPARATOR, " ") for value in values)
    return joined + SEPARATOR


def _lines(names: Sequence[str]) -> str:
    return "\n".join(name[:MAX_NAME].replace("\n", " ") for name in names[:MAX_ITEMS])


def _json(value: Any) -> str | None:  # noqa: ANN401 - anything that has a JSON form
    return None if value is None else msgspec.json.encode(value).decode()
