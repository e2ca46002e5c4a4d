"""Decides what kind of sync a machine gets. Pure; algorithm E, steps 2, 6 and 7.

The client's rulesHash is opaque: it is compared with what the same client said at its last
postflight, never computed here. Next: delta.py says what a normal sync sends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from santaserver.sync.states import Kind, Known, PolicyState, Reason

DRIFT_REASONS = frozenset({Reason.LOST_POSTFLIGHT, Reason.RULES_HASH_CHANGED, Reason.RULE_COUNTS_CHANGED})
MAX_DRIFT_CLEANS = 2
"""Clean syncs in a row that drift may cause; each one costs the Mac its unsent events."""
DRIFT_PAUSE = timedelta(hours=24)
"""After that many, drift causes none for this long: something on the Mac keeps changing its rules."""
MAX_STATES = 8
"""States a machine may be in before guessing becomes dearer than a clean sync."""

STANDALONE = "STANDALONE"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What this preflight says and what follows from it."""

    wants_clean: bool = False
    rules_hash: str = ""
    client_mode: str = ""
    identity_conflict: bool = False
    compiler_withdrawn: bool = False
    """A rule that let a compiler's output run is gone; the rules it caused outlive it."""
    counts_fit: bool | None = None
    """Whether the reported counts fit any possible state; None when they were not compared."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The kind of this sync and what to remember of the decision."""

    kind: Kind
    reason: Reason | None
    bases: tuple[PolicyState, ...]
    held: bool
    """Drift was seen, but clean syncs are paused: the machine counts as drifted."""
    drift_cleans: int
    last_drift_clean_at: datetime | None


def decide(known: Known, evidence: Evidence, now: datetime) -> Plan:
    """Choose the kind of sync: the strongest that anything asks for, named by its first reason."""
    bases = possible_states(known)
    drift = _drift(known, evidence)
    claims = list(_claims(known, evidence, bases))
    paused = _paused(known, now)
    if drift is not None and not paused:
        claims.append((Kind.CLEAN, drift))
    kind, reason = _strongest(claims)
    if kind is Kind.NORMAL:
        calm = drift is None and _comparable(known, evidence)
        return Plan(
            kind, None, bases, drift is not None, 0 if calm else known.drift_cleans, known.last_drift_clean_at
        )
    by_drift = reason in DRIFT_REASONS
    return Plan(
        kind,
        reason,
        (),
        False,
        known.drift_cleans + 1 if by_drift else known.drift_cleans,
        now if by_drift else known.last_drift_clean_at,
    )


def possible_states(known: Known) -> tuple[PolicyState, ...]:
    """List every state the Mac may be in, without repetition: confirmed, and sent but not confirmed."""
    states = [known.acked] if known.acked else []
    states += known.possible
    if known.pending and known.pending.page_served:
        states.append(known.pending.target)
    return tuple(dict.fromkeys(states))


def needs_counts(known: Known, evidence: Evidence) -> bool:
    """Tell whether counts have to stand in for the hash (agents before 2025.7)."""
    hashes = evidence.rules_hash and known.acked_hash
    return known.acked is not None and not hashes and evidence.client_mode != STANDALONE


def _claims(
    known: Known, evidence: Evidence, bases: tuple[PolicyState, ...]
) -> Iterator[tuple[Kind, Reason]]:
    if known.queued_clean:
        yield known.queued_clean, Reason.OPERATOR
    if known.acked is None:
        yield Kind.CLEAN, Reason.STATE_UNKNOWN if known.confirmed_before else Reason.NEW_MACHINE
    if evidence.identity_conflict:
        yield Kind.CLEAN, Reason.IDENTITY_CONFLICT
    if evidence.wants_clean:
        yield Kind.CLEAN, Reason.CLIENT_REQUESTED
    if known.pending and known.pending.kind is not Kind.NORMAL:
        yield known.pending.kind, Reason.UNFINISHED_CLEAN
    if evidence.compiler_withdrawn:
        yield Kind.CLEAN_ALL, Reason.COMPILER_WITHDRAWN
    if len(bases) > MAX_STATES:
        yield Kind.CLEAN, Reason.TOO_MANY_STATES


def _drift(known: Known, evidence: Evidence) -> Reason | None:
    if known.acked is None or evidence.client_mode == STANDALONE:
        return None
    if evidence.rules_hash and known.acked_hash:
        if evidence.rules_hash == known.acked_hash:
            return None
        unconfirmed = known.pending is not None and known.pending.page_served
        return Reason.LOST_POSTFLIGHT if unconfirmed or known.possible else Reason.RULES_HASH_CHANGED
    return Reason.RULE_COUNTS_CHANGED if evidence.counts_fit is False else None


def _comparable(known: Known, evidence: Evidence) -> bool:
    return evidence.client_mode != STANDALONE and bool(
        (evidence.rules_hash and known.acked_hash) or evidence.counts_fit
    )


def _paused(known: Known, now: datetime) -> bool:
    return (
        known.drift_cleans >= MAX_DRIFT_CLEANS
        and known.last_drift_clean_at is not None
        and now - known.last_drift_clean_at < DRIFT_PAUSE
    )


def _strongest(claims: list[tuple[Kind, Reason]]) -> tuple[Kind, Reason | None]:
    order = (Kind.CLEAN_ALL, Kind.CLEAN)
    for kind in order:
        for claimed, reason in claims:
            if claimed is kind:
                return kind, reason
    return Kind.NORMAL, None
