"""Combines the stages: reads the state, calls the pure decisions, stores their results.

One call is one transaction; the machine's row lock keeps its own retries in order. Next:
preflight.py and postflight.py decide, rule_sets.py finds the rules, membership.py the layers.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
from msgspec import structs

from santaserver.db import Connection
from santaserver.enrollment import identity
from santaserver.enrollment.admission import EnrollmentTerms
from santaserver.enrollment.credentials import Credential
from santaserver.errors import Conflict, NotFound, Problem
from santaserver.live.messages import MachineChange, MachineChanged, sync_progress
from santaserver.outbox import message
from santaserver.policy import rule_sets, schedule
from santaserver.policy.capabilities import REMOVE
from santaserver.policy.head import PolicyHead
from santaserver.policy.layer_rules import JoinedRules
from santaserver.policy.rule_log import signature_of
from santaserver.policy.states import PolicyState
from santaserver.protocol.messages import PostflightRequest, PreflightRequest, RuleDownloadRequest
from santaserver.sync import history, inventory, membership, paging, repository
from santaserver.sync.caches import SyncCaches
from santaserver.sync.cursor import Cursor, CursorSigner
from santaserver.sync.evidence import client_mode, evidence_of
from santaserver.sync.measured import POSTFLIGHTS, count_sync
from santaserver.sync.membership import UNSETTLED, membership_fingerprint
from santaserver.sync.pages import Page
from santaserver.sync.paging import page_of, tombstone
from santaserver.sync.postflight import Report, Verdict, judge
from santaserver.sync.preflight import (
    Plan,
    decide,
    possible_states,
)
from santaserver.sync.repository import MachineSnapshot, NewSession
from santaserver.sync.settings_wire import preflight_response, render_settings
from santaserver.sync.states import Kind, Known, Session
from santaserver.sync.withheld import Subject
from santaserver.sync_settings.log import settings_at
from santaserver.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

NO_RULES = b'{"rules":[]}'


@dataclass(frozen=True)
class SyncContext:
    """What every stage works with."""

    connection: Connection
    work: UnitOfWork
    caches: SyncCaches
    signer: CursorSigner
    enrollment: EnrollmentTerms | None
    now: datetime
    certificate: bytes | None = None

    @property
    def shown(self) -> Credential:
        """The credential that the request shows."""
        return Credential(self.enrollment.id if self.enrollment else None, self.certificate)

    @property
    def secret(self) -> int | None:
        """Which of the enrollment's secrets the request shows."""
        return self.enrollment.secret if self.enrollment else None


async def preflight(context: SyncContext, machine_id: str, request: PreflightRequest) -> bytes:
    """Store the machine's report, choose the kind of sync, freeze its target, return all settings."""
    machine = await known_machine(context, machine_id, request.serial_number)
    machine = await _identified(context, machine, request.serial_number)
    request = complete(request, machine)
    context, head = await _present(context, machine.head)
    mode = client_mode(request.client_mode)
    conflict = bool(
        machine.serial and request.serial_number and machine.serial != repository.clip(request.serial_number)
    )
    enrollment = machine.credential.enrollment
    key = membership_fingerprint(request, enrollment, head.layer_version)
    signature = machine.signature
    if key != machine.membership_fingerprint or signature is None:
        subject = Subject(
            machine.id,
            machine_id,
            enrollment,
            machine.signature,
            settled=machine.membership_fingerprint not in (None, UNSETTLED),
        )
        determined = await membership.signature(
            context.work, context.caches, subject, request, mode, head.layer_version, context.now
        )
        signature, key = determined.signature, key if determined.settled else UNSETTLED
        await inventory.store_report(context.connection, machine.id, request, mode, conflict, context.now)
    if signature != machine.signature:
        await history.note_signature(context.connection, machine.id, signature, context.now)
    target = PolicyState(signature, head.seq)
    new = await new_session_of(context, machine, request, target, key, head, conflict=conflict)
    return await begin(context, machine, request, new, head)


def complete(request: PreflightRequest, machine: MachineSnapshot) -> PreflightRequest:
    """Keep the stored facts that a Mac did not report this time."""
    if request.serial_number and request.hostname:
        return request
    return msgspec.structs.replace(
        request,
        serial_number=request.serial_number or machine.serial,
        hostname=request.hostname or machine.hostname,
    )


async def new_session_of(
    context: SyncContext,
    machine: MachineSnapshot,
    request: PreflightRequest,
    target: PolicyState,
    key: bytes,
    head: PolicyHead,
    *,
    conflict: bool,
) -> NewSession:
    """Decide what kind of sync leads a machine to `target`, and whether it sends anything."""
    evidence = await evidence_of(
        context.connection, context.caches, machine, request, target, head, conflict=conflict
    )
    plan = decide(machine.known, evidence, context.now)
    idle = plan.kind is Kind.NORMAL and await _idle(context, machine.known, plan.bases, target, head)
    return NewSession(target, plan, idle, request.rules_hash, key, preflight=True)


async def begin(
    context: SyncContext,
    machine: MachineSnapshot,
    request: PreflightRequest,
    new: NewSession,
    head: PolicyHead,
) -> bytes:
    """Open a sync and respond to its preflight."""
    plan = new.plan
    session = await repository.open_session(context.connection, machine, new, context.now)
    _tell_preflight(context, machine, request, new)
    count_sync(plan.kind, plan.reason)
    log.debug(
        "preflight of %s: session %d is %s %s", machine.machine_id, session, plan.kind, plan.reason or ""
    )
    monitored = machine.monitor_until is not None and machine.monitor_until > context.now
    settings = await _rendered(context, new.target.signature, head.settings_seq, monitored=monitored)
    return preflight_response(plan.kind.wire, settings)


async def rule_download(context: SyncContext, machine_id: str, request: RuleDownloadRequest) -> Page | bytes:
    """Serve one page of the open session; the same cursor always gets the same page."""
    machine = await repository.lock_machine(context.connection, machine_id)
    if machine is None:
        raise await _unknown(context, machine_id)
    identity.check(machine.id, machine.credential, context.shown, released=machine.released)
    return await page(context, machine, request)


async def page(context: SyncContext, machine: MachineSnapshot, request: RuleDownloadRequest) -> Page | bytes:
    """Serve one page of a machine's open session."""
    if await _takes_whole_set(context, machine):
        return await _whole_set(context, machine)
    offset = 0
    if request.cursor:
        cursor = context.signer.decode(request.cursor)
        if cursor is None or machine.known.pending is None or cursor.session != machine.known.pending.id:
            raise Conflict("The cursor does not belong to this machine's open sync; start with a preflight")
        offset = cursor.offset
    session = machine.known.pending
    if session is None:
        context, session = await _unannounced(context, machine)
    if session.idle:
        return NO_RULES
    rules = await _rules_of(context, session, offset + paging.PAGE_SIZE + 1)
    clean = session.kind is not Kind.NORMAL
    cut = page_of(rules, offset, recent=machine.known.recent_counts)
    last = cut.following is None
    await repository.mark_page(context.connection, machine, session, cut.total if last else None)
    following = "" if cut.following is None else context.signer.encode(Cursor(session.id, cut.following))
    shared = rules.shared(offset, offset + len(cut.rules)) if isinstance(rules, JoinedRules) else None
    # A clean sync sends the same whatever the Mac had; the number of rules on a page tells its fillers.
    content = shared or (() if clean else session.bases, session.target, offset, len(cut.rules))
    return Page(content, cut.rules, following)


async def _rules_of(context: SyncContext, session: Session, number: int) -> Sequence[bytes]:
    """Return everything that a session sends, or at least `number` rules; the order is always the same."""
    connection, caches, target = context.connection, context.caches, session.target
    if session.kind is Kind.NORMAL:
        return await rule_sets.delta(connection, caches, session.bases, target, number)
    return await rule_sets.everything(connection, caches, target, number)


async def _whole_set(context: SyncContext, machine: MachineSnapshot) -> Page:
    """Serve all rules, even if none is new: the client replaces its rules with this one page."""
    session = machine.known.pending
    if session is None:
        context, session = await _unannounced(context, machine)
    _, client = await signature_of(context.connection, context.caches, session.target.signature)
    rules = (await rule_sets.whole_set(context.connection, context.caches, session.target)).texts
    sent = rules
    if not rules and session.kind is not Kind.NORMAL and REMOVE in client.policies:
        # It may be a client to which a clean sync without rules changes nothing.
        sent = (tombstone(0),)
    if not session.idle:
        await repository.mark_page(context.connection, machine, session, len(sent))
    return Page(((), session.target, 0, len(sent)), sent, "")


async def _takes_whole_set(context: SyncContext, machine: MachineSnapshot) -> bool:
    if machine.signature is None:
        return False
    _, client = await signature_of(context.connection, context.caches, machine.signature)
    return client.whole_set


async def postflight(context: SyncContext, machine_id: str, request: PostflightRequest) -> bytes:
    """Confirm the open session, or mark the machine's state as unknown; a repeated postflight changes
    nothing.
    """
    machine = await repository.lock_machine(context.connection, machine_id)
    if machine is None:
        raise await _unknown(context, machine_id)
    identity.check(machine.id, machine.credential, context.shown, released=machine.released)
    return await conclude(context, machine, request)


async def conclude(context: SyncContext, machine: MachineSnapshot, request: PostflightRequest) -> bytes:
    """Compare what a machine did with its open session and store the outcome."""
    session = machine.known.pending
    report = Report(
        request.rules_received,
        request.rules_processed,
        request.sync_type,
        repository.clip(request.rules_hash),
    )
    silent = await _takes_whole_set(context, machine)
    known = machine.known
    judgement = judge(
        session, report, known.acked_hash, machine.client_mode, known.recent_counts, counts=not silent
    )
    if session is None or judgement.verdict is Verdict.STRAY:
        POSTFLIGHTS.add("stray")
        log.info("ignored a postflight of %s: %s", machine.machine_id, judgement.why)
        return b"{}"
    counts = (report.received, report.processed)
    if judgement.verdict is Verdict.REFUSED:
        log.warning(
            "rejected a postflight of %s, whose next sync will be a clean sync: %s",
            machine.machine_id,
            judgement.why,
        )
        await repository.refuse(context.connection, machine, session, counts, report.rules_hash, context.now)
    else:
        if report.processed < report.received and not silent:
            log.warning(
                "%s could not use %d of %d rules",
                machine.machine_id,
                report.received - report.processed,
                report.received,
            )
        hashes = (report.rules_hash, judgement.acked_hash)
        shown = (None, None) if silent and report.received == 0 else counts
        await repository.confirm(context.connection, machine, session, shown, hashes, context.now)
        if silent and not session.idle:
            has = await rule_sets.counts(context.connection, context.caches, session.target)
            await inventory.store_counts(context.connection, machine.id, has)
    refused = judgement.verdict is Verdict.REFUSED
    _tell_postflight(context, machine, session, refused=refused)
    POSTFLIGHTS.add("rejected" if refused else "confirmed")
    return b"{}"


async def known_machine(context: SyncContext, machine_id: str, serial: str) -> MachineSnapshot:
    """Return the machine, locked; enroll it when it is new."""
    machine = await repository.lock_machine(context.connection, machine_id)
    if machine is None:
        await identity.enroll(
            context.work, machine_id, context.enrollment, context.shown, serial, context.now
        )
        machine = await repository.lock_machine(context.connection, machine_id)
    if machine is None:
        raise NotFound("The machine was removed during its sync; start again with a preflight")
    return machine


async def _identified(context: SyncContext, machine: MachineSnapshot, serial: str) -> MachineSnapshot:
    """Check and store the machine's identity: its credential and its serial number."""
    credential = await identity.settle(
        context.work,
        (machine.id, machine.machine_id),
        machine.credential,
        context.enrollment,
        context.shown,
        serial,
        context.now,
        released=machine.released,
    )
    if context.secret not in {None, machine.secret}:
        await identity.note_secret(context.connection, machine.id, context.secret)
        _tell_changed(context, machine, "secret_changed", credential.enrollment)
    await identity.note_serial(context.connection, machine.id, machine.serial, serial, context.now)
    return structs.replace(machine, credential=credential)


async def _unknown(context: SyncContext, machine_id: str) -> Problem:
    """Return why a machine without a sync state gets nothing."""
    return await identity.why_unknown(context.connection, machine_id)


async def _present(context: SyncContext, head: PolicyHead) -> tuple[SyncContext, PolicyHead]:
    """Return the policy's numbers after whatever is due by now, and the stage to go on with.

    A number that this transaction takes itself is not settled before its commit: after a rollback it
    would be taken again, for another change. So nothing that follows from it may be remembered.
    """
    if head.next_change_at is None or head.next_change_at > context.now:
        return context, head
    present = await schedule.apply_due(context.work, context.now)
    return replace(context, caches=SyncCaches()), present.at_least(head.seq)


async def _idle(
    context: SyncContext, known: Known, bases: Sequence[PolicyState], target: PolicyState, head: PolicyHead
) -> bool:
    """Tell whether a normal sync has nothing to send, and nothing to prove.

    Any idle sync's postflight fits every other one, also when it comes late. So a sync is not idle if it has
    new settings, or follows one whose settings the Mac may have read although it did not confirm them.
    """
    if known.pending is not None and not known.pending.idle:
        return False
    if await _has_new_settings(context, known.acked, target, head):
        return False
    earlier = tuple(dict.fromkeys(map(head.same_rules, bases)))
    return not await rule_sets.delta(context.connection, context.caches, earlier, head.same_rules(target))


async def _has_new_settings(
    context: SyncContext, acked: PolicyState | None, target: PolicyState, head: PolicyHead
) -> bool:
    """Tell whether the target's settings are others than those of the confirmed state."""
    if acked is None:
        return True
    if acked.signature == target.signature and head.settings_seq <= acked.seq:
        return False
    had = await _rendered(context, acked.signature, acked.seq, monitored=False)
    return had != await _rendered(context, target.signature, head.settings_seq, monitored=False)


async def _rendered(context: SyncContext, signature: int, seq: int, *, monitored: bool) -> bytes:
    """Return the settings at a number, as a preflight's response has them."""
    key = (signature, seq, monitored)
    cached = context.caches.settings.get(key)
    if cached is None:
        layers, client = await signature_of(context.connection, context.caches, signature)
        settings = await settings_at(context.connection, layers, seq)
        values = settings.values_now(monitor_window=monitored)
        cached = context.caches.settings.put(key, render_settings(values, client))
    return cached


async def _unannounced(context: SyncContext, machine: MachineSnapshot) -> tuple[SyncContext, Session]:
    """Open a normal session for a download without a preflight; its target becomes a possible state.

    The machine's layers are those of its last preflight, which later ones may not be in: they are
    looked up again at the next.
    """
    known = machine.known
    if known.acked is None or machine.signature is None:
        raise Conflict("The server does not know which rules this machine has; start with a preflight")
    context, head = await _present(context, machine.head)
    target = PolicyState(machine.signature, head.seq)
    if await _has_new_settings(context, known.acked, target, head):
        raise Conflict("This machine has new settings, which a preflight brings; start with one")
    bases = possible_states(known)
    drift = (known.drift_cleans, known.last_drift_clean_at, known.drift_since, known.expected)
    plan = Plan(Kind.NORMAL, None, bases, False, *drift)
    idle = await _idle(context, known, bases, target, head)
    new = NewSession(target, plan, idle, rules_hash="", membership_fingerprint=None, preflight=False)
    number = await repository.open_session(context.connection, machine, new, context.now)
    sent = 0 if idle else None
    session = Session(
        number, target, Kind.NORMAL, bases, "", drift_suppressed=False, page_served=False, sent=sent
    )
    return context, session


def _tell_preflight(
    context: SyncContext, machine: MachineSnapshot, request: PreflightRequest, new: NewSession
) -> None:
    now, kind, hostname = context.now, new.plan.kind, repository.clip(request.hostname)
    if not machine.seen_before:
        named = structs.replace(machine, hostname=hostname)
        _tell_changed(context, named, "enrolled", machine.credential.enrollment)
    changed = (
        not machine.seen_before
        or kind is not Kind.NORMAL
        or new.membership_fingerprint != machine.membership_fingerprint
        or new.target.signature != machine.signature
    )
    context.work.outbox.add(
        sync_progress(now, machine.machine_id, hostname, "preflight", kind.value, changed=changed)
    )


def _tell_postflight(
    context: SyncContext, machine: MachineSnapshot, session: Session, *, refused: bool
) -> None:
    changed = refused or session.kind is not Kind.NORMAL or session.target != machine.known.acked
    news = sync_progress(
        context.now,
        machine.machine_id,
        machine.hostname,
        "postflight",
        session.kind.value,
        changed=changed,
        refused=refused,
    )
    context.work.outbox.add(news)
    if not (refused or machine.synced_before):
        _tell_changed(context, machine, "first_sync", machine.credential.enrollment)


def _tell_changed(
    context: SyncContext, machine: MachineSnapshot, change: MachineChange, enrollment: int | None
) -> None:
    news = MachineChanged(
        at=context.now,
        machine_id=machine.machine_id,
        hostname=machine.hostname,
        change=change,
        enrollment=enrollment,
    )
    context.work.outbox.add(message(news))
