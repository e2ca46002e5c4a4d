"""The SQL of the hot path: machines and sync sessions. Plain asyncpg; see rule_log.py for rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from santaserver.db import Connection
from santaserver.sync.preflight import Plan
from santaserver.sync.states import Kind, Known, PolicyState, Session
from santaserver.sync.wire import PreflightRequest

SESSION_COLUMNS = """
  s.id as session_id, s.target_signature, s.target_seq, s.kind, s.base_signatures, s.base_seqs,
  s.hash_before, s.held, s.first_page_at, s.sent_count
"""


@dataclass(frozen=True, slots=True)
class MachineRow:
    """A machine with its sync state, locked until the transaction ends."""

    id: int
    machine_id: str
    serial: str
    hostname: str
    client_mode: str
    santa_version: str
    seen_before: bool
    known: Known
    head: int
    """The number of the newest policy change, read after the lock was taken."""


async def lock_machine(connection: Connection, machine_id: str) -> MachineRow | None:
    """Return a machine and keep other stages of it waiting.

    Two statements on purpose: the second one sees what the holder of the lock before committed.
    """
    row_id = await connection.fetchval(
        """select machine_id from machine_sync
           where machine_id = (select id from machine where machine_id = $1) for update""",
        machine_id,
    )
    if row_id is None:
        return None
    row = await connection.fetchrow(
        f"""select m.id, m.machine_id, m.serial, m.hostname, m.client_mode, m.santa_version,
                   m.last_preflight_at, m.last_postflight_at,
                   y.acked_signature, y.acked_seq, y.acked_hash, y.possible_signatures, y.possible_seqs,
                   y.queued_clean, y.drift_cleans, y.last_drift_clean_at,
                   (select seq from policy_head) as head, {SESSION_COLUMNS}
            from machine m
            join machine_sync y on y.machine_id = m.id
            left join sync_session s on s.id = y.pending_session
            where m.id = $1""",  # noqa: S608 - a constant of this file
        row_id,
    )
    if row is None:
        return None
    return MachineRow(
        id=row["id"],
        machine_id=row["machine_id"],
        serial=row["serial"],
        hostname=row["hostname"],
        client_mode=row["client_mode"],
        santa_version=row["santa_version"],
        seen_before=row["last_preflight_at"] is not None,
        known=_known(row),
        head=row["head"],
    )


async def create_machine(
    connection: Connection, machine_id: str, enrollment: int | None, now: datetime
) -> None:
    """Add a machine that nothing is known of; another request may have been faster."""
    row_id = await connection.fetchval(
        """insert into machine (machine_id, enrollment_id, enrolled_at) values ($1, $2, $3)
           on conflict (machine_id) do nothing returning id""",
        machine_id,
        enrollment,
        now,
    )
    if row_id is not None:
        await connection.execute("insert into machine_sync (machine_id) values ($1)", row_id)


async def store_report(
    connection: Connection, row_id: int, report: PreflightRequest, mode: str, conflict: bool, now: datetime
) -> None:
    """Keep what a preflight says about the machine."""
    facts = (report.serial_number, report.hostname, report.model_identifier, report.os_version)
    more = (report.os_build, report.santa_version, report.primary_user)
    await connection.execute(
        """update machine set serial = $2, hostname = $3, model = $4, os_version = $5, os_build = $6,
             santa_version = $7, primary_user = $8, primary_user_groups = $9, client_mode = $10,
             sip_status = $11, rules_hash = $12, binary_rules = $13, certificate_rules = $14,
             teamid_rules = $15, signingid_rules = $16, cdhash_rules = $17, compiler_rules = $18,
             transitive_rules = $19, last_preflight_at = $20,
             identity_conflict_at = case when $21 then $20 else identity_conflict_at end
           where id = $1""",
        row_id,
        *(clip(text) for text in facts + more),
        [clip(group) for group in report.primary_user_groups[:200]],
        mode,
        report.sip_status,
        clip(report.rules_hash),
        report.binary_rule_count,
        report.certificate_rule_count,
        report.teamid_rule_count,
        report.signingid_rule_count,
        report.cdhash_rule_count,
        report.compiler_rule_count,
        report.transitive_rule_count,
        now,
        conflict,
    )


async def open_session(
    connection: Connection,
    machine: MachineRow,
    target: PolicyState,
    plan: Plan,
    rules_hash: str,
    now: datetime,
) -> int:
    """Freeze a sync and make it the pending one; the one before stays as history."""
    if machine.known.pending is not None:
        await connection.execute(
            "update sync_session set state = 'superseded', finished_at = $2 where id = $1",
            machine.known.pending.id,
            now,
        )
    idle = plan.kind is Kind.NORMAL and set(plan.bases) == {target}
    possible = [state for state in plan.bases if state != machine.known.acked]
    session: int = await connection.fetchval(
        """with opened as (
             insert into sync_session (machine_id, target_signature, target_seq, kind, clean_reason,
               base_signatures, base_seqs, hash_before, held, sent_count, started_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning id)
           update machine_sync set pending_session = (select id from opened),
             possible_signatures = $12, possible_seqs = $13,
             drift_cleans = $14, last_drift_clean_at = $15, drift_held = $9
           where machine_id = $1 returning pending_session""",
        machine.id,
        target.signature,
        target.seq,
        plan.kind.value,
        plan.reason.value if plan.reason else None,
        [state.signature for state in plan.bases],
        [state.seq for state in plan.bases],
        clip(rules_hash),
        plan.held,
        0 if idle else None,
        now,
        [state.signature for state in possible],
        [state.seq for state in possible],
        plan.drift_cleans,
        plan.last_drift_clean_at,
    )
    return session


async def mark_pages(
    connection: Connection, session: Session, first: bool, sent: int | None, now: datetime
) -> None:
    """Note that a session's first page, or its last one with all rules counted, is being served."""
    if (first and not session.page_served) or (sent is not None and sent != session.sent):
        await connection.execute(
            """update sync_session set first_page_at = coalesce(first_page_at, $2),
                 sent_count = coalesce($3, sent_count) where id = $1""",
            session.id,
            now,
            sent,
        )


async def confirm(
    connection: Connection,
    machine: MachineRow,
    session: Session,
    counts: tuple[int, int],
    hashes: tuple[str, str],
    now: datetime,
) -> None:
    """Make the session's target the confirmed state. `hashes`: reported, and to compare with later."""
    await connection.execute(
        """update machine_sync set acked_signature = $2, acked_seq = $3, acked_hash = $4,
             possible_signatures = '{}', possible_seqs = '{}', pending_session = null,
             queued_clean = case when $5 = 'normal' then queued_clean
                                 when queued_clean = 'clean_all' and $5 = 'clean' then queued_clean end
           where machine_id = $1""",
        machine.id,
        session.target.signature,
        session.target.seq,
        clip(hashes[1]),
        session.kind.value,
    )
    await _finish(connection, machine, session, "acked", counts, hashes[0], now)


async def refuse(
    connection: Connection,
    machine: MachineRow,
    session: Session,
    counts: tuple[int, int],
    rules_hash: str,
    now: datetime,
) -> None:
    """Forget what the machine has: its next sync is a clean one."""
    await connection.execute(
        """update machine_sync set acked_signature = null, acked_seq = null, acked_hash = '',
             possible_signatures = '{}', possible_seqs = '{}', pending_session = null
           where machine_id = $1""",
        machine.id,
    )
    await _finish(connection, machine, session, "refused", counts, rules_hash, now)


async def _finish(
    connection: Connection,
    machine: MachineRow,
    session: Session,
    state: str,
    counts: tuple[int, int],
    rules_hash: str,
    now: datetime,
) -> None:
    await connection.execute(
        """with done as (
             update sync_session set state = $2, received_count = $3, processed_count = $4,
               hash_after = $5, finished_at = $6 where id = $1)
           update machine set last_postflight_at = $6, rules_hash = $5 where id = $7""",
        session.id,
        state,
        counts[0],
        counts[1],
        clip(rules_hash),
        now,
        machine.id,
    )


def clip(text: str, length: int = 500) -> str:
    """Shorten what a client claims to what is stored and indexed."""
    return text[:length]


def _known(row: Any) -> Known:  # noqa: ANN401 - a record
    acked = PolicyState(row["acked_signature"], row["acked_seq"]) if row["acked_seq"] is not None else None
    return Known(
        acked=acked,
        acked_hash=row["acked_hash"],
        possible=_states(row["possible_signatures"], row["possible_seqs"]),
        pending=_session(row) if row["session_id"] is not None else None,
        queued_clean=Kind(row["queued_clean"]) if row["queued_clean"] else None,
        drift_cleans=row["drift_cleans"],
        last_drift_clean_at=row["last_drift_clean_at"],
        confirmed_before=row["last_postflight_at"] is not None,
    )


def _session(row: Any) -> Session:  # noqa: ANN401 - a record
    return Session(
        id=row["session_id"],
        target=PolicyState(row["target_signature"], row["target_seq"]),
        kind=Kind(row["kind"]),
        bases=_states(row["base_signatures"], row["base_seqs"]),
        hash_before=row["hash_before"],
        held=row["held"],
        page_served=row["first_page_at"] is not None,
        sent=row["sent_count"],
    )


def _states(signatures: Sequence[int], seqs: Sequence[int]) -> tuple[PolicyState, ...]:
    return tuple(PolicyState(signature, seq) for signature, seq in zip(signatures, seqs, strict=True))
