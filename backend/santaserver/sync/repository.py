"""The SQL of the hot path: machines and their open syncs. Plain asyncpg; see policy/rule_log.py for rules.

A sync that sends nothing reads one row three times and updates it twice. Only syncs that send
something leave a row in `sync_session`, which no decision reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import Struct

from santaserver.db import Connection, rows_of
from santaserver.enrollment.credentials import Credential
from santaserver.policy.head import PolicyHead
from santaserver.policy.states import PolicyState, RuleCounts
from santaserver.sync.history import with_confirmation
from santaserver.sync.preflight import Plan, possible_states
from santaserver.sync.states import Kind, Known, Session, confirms_news

AS_READ = "({0}::xid is null or xmin = {0})"
"""A condition that its `MachineRow.version` is still the machine's: xmin changes with each update."""
RECENT_COUNTS = 8
"""Numbers of rules that a postflight still under way may report: those of four syncs and more."""


class StaleRead(Exception):  # noqa: N818 - nothing is wrong
    """Another request changed the machine since it was read without a lock; nothing was written."""


class MachineSnapshot(Struct, frozen=True):
    """A machine with its sync state, and the policy's numbers."""

    id: int
    machine_id: str
    serial: str
    hostname: str
    client_mode: str
    santa_version: str
    credential: Credential
    secret: int | None
    """The enrollment secret that its last preflight showed."""
    released: bool
    """Whether its next preflight may bring another credential."""
    seen_before: bool
    synced_before: bool
    """Whether it finished a sync."""
    known: Known
    signature: int | None
    """Its layers and release as they were when `membership_fingerprint` was made."""
    membership_fingerprint: bytes | None
    monitor_until: datetime | None
    head: PolicyHead
    version: int | None
    """What its sync state has to be for a write to happen; None when a lock holds it as it is."""


MACHINE = """
  select m.id, m.machine_id, m.serial, m.hostname, m.client_mode, m.santa_version, m.enrollment_id,
    m.client_certificate, m.released_at, m.secret_id,
    y.acked_signature, y.acked_seq, y.acked_hash, y.possible_signatures, y.possible_seqs,
    y.pending_session, y.pending_signature, y.pending_seq, y.pending_kind, y.pending_hash,
    y.pending_served, y.pending_sent, y.recent_counts, y.queued_clean, y.drift_cleans,
    y.last_drift_clean_at, y.drift_suppressed, y.drift_since, y.expected_counts, y.signature,
    y.membership_fingerprint, y.last_preflight_at, y.last_postflight_at, y.last_clean_at, y.monitor_until,
    y.xmin as version,
    h.seq, h.settings_seq, h.layer_version, h.content_seq, h.next_change_at
  from machine m join machine_sync y on y.machine_id = m.id, policy_head h
  where m.machine_id = $1
"""


async def find_machine(connection: Connection, machine_id: str) -> MachineSnapshot | None:
    """Return a machine as it is at this moment; writes to it happen only while it still is."""
    row = await connection.fetchrow(MACHINE, machine_id)
    return None if row is None else _machine(row, row["version"])


async def lock_machine(connection: Connection, machine_id: str) -> MachineSnapshot | None:
    """Return a machine, locked against its other stages and against a change of its credential.

    Whatever locks both rows locks that of `machine` first: it is there before and after the other one.
    After such a wait the machine is the newest, the numbers may be a moment older: then
    a sync's target is that moment's policy, but never one before what the machine has already.
    """
    row = await connection.fetchrow(MACHINE + "for no key update of m, y", machine_id)
    return None if row is None else _machine(row, None)


def _machine(row: Any, version: int | None) -> MachineSnapshot:  # noqa: ANN401 - a record
    known = _known(row)
    seen = [state.seq for state in possible_states(known)]
    head = PolicyHead(
        row["seq"], row["settings_seq"], row["layer_version"], row["content_seq"], row["next_change_at"]
    ).at_least(max(seen, default=0))
    return MachineSnapshot(
        id=row["id"],
        machine_id=row["machine_id"],
        serial=row["serial"],
        hostname=row["hostname"],
        client_mode=row["client_mode"],
        santa_version=row["santa_version"],
        credential=Credential(row["enrollment_id"], row["client_certificate"]),
        secret=row["secret_id"],
        released=row["released_at"] is not None,
        seen_before=row["last_preflight_at"] is not None,
        synced_before=row["last_postflight_at"] is not None,
        known=known,
        signature=row["signature"],
        membership_fingerprint=row["membership_fingerprint"],
        monitor_until=row["monitor_until"],
        head=head,
        version=version,
    )


@dataclass(frozen=True, slots=True)
class NewSession:
    """A sync that begins."""

    target: PolicyState
    plan: Plan
    idle: bool
    """There is nothing to send."""
    rules_hash: str
    membership_fingerprint: bytes | None
    """What the target's layers follow from; None when they were not looked up."""
    preflight: bool
    """Whether a preflight announced it."""


async def open_session(
    connection: Connection, machine: MachineSnapshot, new: NewSession, now: datetime
) -> int:
    """Freeze a sync and make it the open one; return its number.

    It takes several statements, and so a transaction, unless both this sync and the one before are idle.
    """
    known, plan, target = machine.known, new.plan, new.target
    if known.pending is not None and not known.pending.idle:
        await connection.execute(
            """update sync_session set state = 'superseded', sent_count = $2, finished_at = $3
               where machine_id = $4 and id = $1 and state = 'open'""",
            known.pending.id,
            known.pending.sent,
            now,
            machine.id,
        )
    # A clean sync makes the state certain, except for compilers' output of some earlier states.
    states = plan.bases if plan.kind is Kind.NORMAL else (target,)
    possible = [state for state in states if state != known.acked]
    values: list[object] = [
        machine.id,
        target.signature,
        target.seq,
        plan.kind.value,
        clip(new.rules_hash),
        0 if new.idle else None,
        [state.signature for state in possible],
        [state.seq for state in possible],
        plan.drift_cleans,
        plan.last_drift_clean_at,
        plan.drift_suppressed,
        _recent(known, *([known.pending.sent] if known.pending else [])),
        new.membership_fingerprint,
        now if new.preflight else None,
        machine.version,
        plan.drift_since,
        plan.expected,
    ]
    number = "nextval('sync_session_id_seq')"
    before = ""
    if not new.idle:
        number = "(select id from opened)"
        before = """with opened as (
          insert into sync_session (machine_id, target_signature, target_seq, kind, clean_reason,
            base_signatures, base_seqs, hash_before, held, started_at)
          values ($1, $2, $3, $4, $18, $19, $20, $5, $11, $21) returning id)"""
        values += [
            plan.reason.value if plan.reason else None,
            [state.signature for state in plan.bases],
            [state.seq for state in plan.bases],
            now,
        ]
    session: int | None = await connection.fetchval(
        f"""{before} update machine_sync set pending_session = {number}, pending_signature = $2,
              pending_seq = $3, pending_kind = $4, pending_hash = $5, pending_served = false,
              pending_sent = $6, possible_signatures = $7, possible_seqs = $8, drift_cleans = $9,
              last_drift_clean_at = $10, drift_suppressed = $11, recent_counts = $12,
              signature = case when $13::bytea is null then signature else $2 end,
              membership_fingerprint = $13,
              last_preflight_at = coalesce($14, last_preflight_at), drift_since = $16,
              expected_counts = $17
            where machine_id = $1 and {AS_READ.format("$15")}
            returning pending_session""",  # noqa: S608 - constants of this file
        *values,
    )
    if session is None:
        raise StaleRead
    return session


async def mark_page(
    connection: Connection, machine: MachineSnapshot, session: Session, sent: int | None
) -> None:
    """Note that a page is being served; `sent` counts all rules once it is the last one."""
    if not session.page_served or (sent is not None and sent != session.sent):
        tag = await connection.execute(
            f"""update machine_sync set pending_served = true, pending_sent = coalesce($2, pending_sent)
                where machine_id = $1 and {AS_READ.format("$3")}""",  # noqa: S608 - constants of this file
            machine.id,
            sent,
            machine.version,
        )
        _written(tag)


Counts = tuple[int | None, int | None]
"""Rules that a client says it received and could use; None when it does not count."""


CONFIRM = f"""
update machine_sync set acked_signature = $2, acked_seq = $3, acked_hash = $4,
  possible_signatures = '{{}}', possible_seqs = '{{}}', pending_session = null,
  pending_kind = null, pending_signature = null, pending_seq = null, pending_hash = null,
  pending_sent = null, pending_served = false, recent_counts = $6, last_postflight_at = $7,
  last_clean_at = case when $5 = 'normal' then last_clean_at else $7 end,
  queued_clean = case when $5 = 'normal' then queued_clean
                      when queued_clean = 'clean_all' and $5 = 'clean' then queued_clean end
where machine_id = $1 and {AS_READ.format("$8")}"""  # noqa: S608 - constants of this file
CONFIRM_NEWS = with_confirmation(CONFIRM, at="$7", seq="$3", signature="$2")

REFUSE = f"""
update machine_sync set acked_signature = null, acked_seq = null, acked_hash = '',
  possible_signatures = array[$2::integer], possible_seqs = array[$3::bigint],
  pending_session = case when $4 then null else pending_session end,
  pending_sent = null, recent_counts = $5, last_postflight_at = $6
where machine_id = $1 and {AS_READ.format("$7")}"""  # noqa: S608 - constants of this file
REFUSE_NEWS = with_confirmation(REFUSE, at="$6")


async def confirm(
    connection: Connection,
    machine: MachineSnapshot,
    session: Session,
    counts: Counts,
    hashes: tuple[str, str],
    now: datetime,
) -> None:
    """Make the session's target the confirmed state. `hashes`: reported, and to compare with later."""
    tag = await connection.execute(
        CONFIRM_NEWS if confirms_news(session, machine.known.acked) else CONFIRM,
        machine.id,
        session.target.signature,
        session.target.seq,
        clip(hashes[1]),
        session.kind.value,
        _recent(machine.known, session.sent),
        now,
        machine.version,
    )
    _written(tag)
    if not session.idle:
        await _finish(connection, machine, session, "acked", counts, hashes[0], now)


async def refuse(
    connection: Connection,
    machine: MachineSnapshot,
    session: Session,
    counts: tuple[int, int],
    rules_hash: str,
    now: datetime,
) -> None:
    """Forget what the machine has: its next sync is a clean one.

    A refused clean sync stays open, to be repeated at least as strong as it was.
    """
    tag = await connection.execute(
        REFUSE if machine.known.acked is None else REFUSE_NEWS,
        machine.id,
        session.target.signature,
        session.target.seq,
        session.kind is Kind.NORMAL,
        _recent(machine.known, counts[0], session.sent),
        now,
        machine.version,
    )
    _written(tag)
    if not session.idle:
        await _finish(connection, machine, session, "refused", counts, rules_hash, now)


async def _finish(
    connection: Connection,
    machine: MachineSnapshot,
    session: Session,
    state: str,
    counts: Counts,
    rules_hash: str,
    now: datetime,
) -> None:
    await connection.execute(
        """update sync_session set state = $2, received_count = $3, processed_count = $4,
             hash_after = $5, finished_at = $6, sent_count = $7 where machine_id = $8 and id = $1""",
        session.id,
        state,
        counts[0],
        counts[1],
        clip(rules_hash),
        now,
        session.sent,
        machine.id,
    )


def _written(tag: str) -> None:
    if rows_of(tag) == 0:
        raise StaleRead


def clip(text: str, length: int = 500) -> str:
    """Shorten what a client claims to what is stored and indexed."""
    return text[:length]


def _recent(known: Known, *counts: int | None) -> list[int]:
    """Put new counts before the stored ones; 0 does not distinguish syncs."""
    added = (min(count, 2**31 - 1) for count in counts if count)
    return list(dict.fromkeys((*added, *known.recent_counts)))[:RECENT_COUNTS]


def _known(row: Any) -> Known:  # noqa: ANN401 - a record
    acked = PolicyState(row["acked_signature"], row["acked_seq"]) if row["acked_seq"] is not None else None
    possible = _states(row["possible_signatures"], row["possible_seqs"])
    return Known(
        acked=acked,
        acked_hash=row["acked_hash"],
        possible=possible,
        recent_counts=tuple(row["recent_counts"]),
        pending=_session(row, acked, possible) if row["pending_session"] is not None else None,
        queued_clean=Kind(row["queued_clean"]) if row["queued_clean"] else None,
        drift_cleans=row["drift_cleans"],
        last_drift_clean_at=row["last_drift_clean_at"],
        drift_since=row["drift_since"],
        expected=None if row["expected_counts"] is None else RuleCounts(*row["expected_counts"]),
        confirmed_before=row["last_postflight_at"] is not None,
        last_clean_at=row["last_clean_at"],
    )


def _session(row: Any, acked: PolicyState | None, possible: tuple[PolicyState, ...]) -> Session:  # noqa: ANN401
    return Session(
        id=row["pending_session"],
        target=PolicyState(row["pending_signature"], row["pending_seq"]),
        kind=Kind(row["pending_kind"]),
        bases=tuple(dict.fromkeys((acked, *possible) if acked else possible)),
        hash_before=row["pending_hash"],
        drift_suppressed=row["drift_suppressed"],
        page_served=row["pending_served"],
        sent=row["pending_sent"],
    )


def _states(signatures: Sequence[int], seqs: Sequence[int]) -> tuple[PolicyState, ...]:
    return tuple(PolicyState(signature, seq) for signature, seq in zip(signatures, seqs, strict=True))
