"""Puts the stages together: reads what is known, asks the pure decisions, stores what they say.

One call is one transaction; the machine's row lock keeps its own retries in order. Next:
preflight.py and postflight.py decide, rules_page.py finds the rules of a page.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound
from santaserver.live.messages import MachineChanged, SyncProgress, message
from santaserver.live.outbox import Outbox
from santaserver.models.policy import GLOBAL_LAYER
from santaserver.sync import enrollment, repository, rules_page
from santaserver.sync.caches import SyncCaches
from santaserver.sync.capabilities import level_of
from santaserver.sync.cursor import Cursor, CursorSigner
from santaserver.sync.enrollment import Enrollment
from santaserver.sync.postflight import Report, Verdict, judge
from santaserver.sync.preflight import Evidence, Plan, decide, needs_counts, possible_states
from santaserver.sync.repository import MachineRow
from santaserver.sync.rule_log import FIRST_KEY, Signature, signature_id
from santaserver.sync.settings_wire import preflight_answer, render_settings
from santaserver.sync.states import Kind, Known, PolicyState, RuleCounts, Session
from santaserver.sync.wire import PostflightRequest, PreflightRequest, RuleDownloadAnswer, RuleDownloadRequest
from santaserver.sync_settings.log import settings_at

log = logging.getLogger(__name__)

MODES = {1: "MONITOR", 2: "LOCKDOWN", 3: "STANDALONE"}
KNOWN_MODES = frozenset(MODES.values())


@dataclass(frozen=True)
class Stage:
    """What every stage works with."""

    connection: Connection
    outbox: Outbox
    caches: SyncCaches
    signer: CursorSigner
    enrollment: Enrollment | None
    now: datetime


async def preflight(stage: Stage, machine_id: str, request: PreflightRequest) -> bytes:
    """Take the machine's report, choose the kind of sync, freeze its target, answer all settings."""
    machine = await known_machine(stage, machine_id, request.serial_number)
    mode = client_mode(request.client_mode)
    target = await _target(stage, request.santa_version, machine.head)
    evidence = await _evidence(stage, machine, request, mode, target)
    plan = decide(machine.known, evidence, stage.now)
    session = await repository.open_session(
        stage.connection, machine, target, plan, request.rules_hash, stage.now
    )
    await repository.store_report(
        stage.connection, machine.id, request, mode, evidence.identity_conflict, stage.now
    )
    _tell_preflight(stage, machine, request, plan)
    log.debug("preflight of %s: session %d is %s %s", machine_id, session, plan.kind, plan.reason or "")
    return preflight_answer(plan.kind.wire, await _settings(stage, (GLOBAL_LAYER,), machine.head))


async def rule_download(stage: Stage, machine_id: str, request: RuleDownloadRequest) -> bytes:
    """Serve one page of the open session; the same cursor always gets the same page."""
    machine = await repository.lock_machine(stage.connection, machine_id)
    if machine is None:
        raise NotFound("This machine is not known here; it has to begin with a preflight")
    cursor = None
    if request.cursor:
        cursor = stage.signer.decode(request.cursor)
        if cursor is None or machine.known.pending is None or cursor.session != machine.known.pending.id:
            raise Conflict("The cursor does not belong to this machine's open sync; begin with a preflight")
    session = machine.known.pending or await _unannounced(stage, machine)
    if session.kind is Kind.NORMAL and session.bases == (session.target,):
        return msgspec.json.encode(RuleDownloadAnswer(rules=[]))
    after = (cursor.rule_type, cursor.identifier) if cursor else FIRST_KEY
    sent_before = cursor.sent if cursor else 0
    page = await rules_page.load(stage.connection, stage.caches, session, after, sent_before)
    sent = sent_before + len(page.rules)
    await repository.mark_pages(
        stage.connection, session, cursor is None, sent if page.last is None else session.sent, stage.now
    )
    following = "" if page.last is None else stage.signer.encode(Cursor(session.id, sent, *page.last))
    return msgspec.json.encode(RuleDownloadAnswer(rules=page.rules, cursor=following))


async def postflight(stage: Stage, machine_id: str, request: PostflightRequest) -> bytes:
    """Confirm the open session, or forget what the machine has; a repeated postflight changes nothing."""
    machine = await repository.lock_machine(stage.connection, machine_id)
    if machine is None:
        raise NotFound("This machine is not known here; it has to begin with a preflight")
    session = machine.known.pending
    report = Report(
        request.rules_received,
        request.rules_processed,
        request.sync_type,
        repository.clip(request.rules_hash),
    )
    judgement = judge(session, report, machine.known.acked_hash, machine.client_mode)
    if session is None or judgement.verdict is Verdict.STRAY:
        log.info("postflight of %s left aside: %s", machine_id, judgement.why)
        return b"{}"
    counts = (report.received, report.processed)
    if judgement.verdict is Verdict.REFUSED:
        log.warning("postflight of %s refused, its next sync is a clean one: %s", machine_id, judgement.why)
        await repository.refuse(stage.connection, machine, session, counts, report.rules_hash, stage.now)
    else:
        if report.processed < report.received:
            log.warning(
                "%s could not use %d of %d rules",
                machine_id,
                report.received - report.processed,
                report.received,
            )
        hashes = (report.rules_hash, judgement.acked_hash)
        await repository.confirm(stage.connection, machine, session, counts, hashes, stage.now)
    stage.outbox.add(
        message(
            SyncProgress(
                at=stage.now,
                machine_id=machine.machine_id,
                hostname=machine.hostname,
                stage="postflight",
                kind=session.kind.value,
            )
        )
    )
    return b"{}"


async def known_machine(stage: Stage, machine_id: str, serial: str) -> MachineRow:
    """Return the machine, locked; enrol it when it is new."""
    machine = await repository.lock_machine(stage.connection, machine_id)
    if machine is None:
        await enrollment.admit(stage.connection, stage.enrollment, serial)
        enrolled_by = stage.enrollment.id if stage.enrollment else None
        await repository.create_machine(stage.connection, machine_id, enrolled_by, stage.now)
        machine = await repository.lock_machine(stage.connection, machine_id)
    if machine is None:
        raise NotFound("The machine was removed while it was syncing; it has to begin again")
    return machine


def client_mode(said: str | int) -> str:
    """Return the mode's name, empty for words this version does not know."""
    name = MODES.get(said, "") if isinstance(said, int) else said
    return name if name in KNOWN_MODES else ""


async def _target(stage: Stage, santa_version: str, head: int) -> PolicyState:
    signature = Signature((GLOBAL_LAYER,), level_of(santa_version))
    key = (signature.layers, signature.level)
    known = stage.caches.signatures.get(key)
    if known is None:
        known = stage.caches.signatures.put(key, await signature_id(stage.connection, signature))
    return PolicyState(known, head)


async def _evidence(
    stage: Stage, machine: MachineRow, request: PreflightRequest, mode: str, target: PolicyState
) -> Evidence:
    evidence = Evidence(
        wants_clean=request.request_clean_sync,
        rules_hash=repository.clip(request.rules_hash),
        client_mode=mode,
        identity_conflict=bool(
            machine.serial
            and request.serial_number
            and machine.serial != repository.clip(request.serial_number)
        ),
        compiler_withdrawn=await rules_page.compiler_withdrawn(
            stage.connection, possible_states(machine.known), target
        ),
    )
    if needs_counts(machine.known, evidence):
        fits = await _counts_fit(stage, machine.known, request)
        evidence = replace(evidence, counts_fit=fits)
    return evidence


async def _counts_fit(stage: Stage, known: Known, request: PreflightRequest) -> bool:
    reported = RuleCounts(
        binary=max(request.binary_rule_count - request.transitive_rule_count, 0),
        certificate=request.certificate_rule_count,
        teamid=request.teamid_rule_count,
        signingid=request.signingid_rule_count,
        cdhash=request.cdhash_rule_count,
    )
    for state in possible_states(known):
        if reported == await rules_page.expected_counts(stage.connection, stage.caches, state):
            return True
    return False


async def _settings(stage: Stage, layers: tuple[int, ...], head: int) -> bytes:
    cached = stage.caches.settings.get((layers, head))
    if cached is None:
        settings = await settings_at(stage.connection, layers, head)
        cached = stage.caches.settings.put((layers, head), render_settings(settings))
    return cached


async def _unannounced(stage: Stage, machine: MachineRow) -> Session:
    """Open a normal session for a download without a preflight; its target becomes a possible state."""
    target = await _target(stage, machine.santa_version, machine.head)
    bases = possible_states(machine.known)
    known = machine.known
    plan = Plan(Kind.NORMAL, None, bases, False, known.drift_cleans, known.last_drift_clean_at)
    session = await repository.open_session(stage.connection, machine, target, plan, "", stage.now)
    return Session(session, target, Kind.NORMAL, bases, "", held=False, page_served=False, sent=None)


def _tell_preflight(stage: Stage, machine: MachineRow, request: PreflightRequest, plan: Plan) -> None:
    names = {"at": stage.now, "machine_id": machine.machine_id, "hostname": repository.clip(request.hostname)}
    if not machine.seen_before:
        stage.outbox.add(message(MachineChanged.model_validate({**names, "change": "enrolled"})))
    progress = SyncProgress.model_validate({**names, "stage": "preflight", "kind": plan.kind.value})
    stage.outbox.add(message(progress))
