"""Decides what kind of sync a machine gets. Pure; algorithm E, steps 2, 6 and 7.

The client's rulesHash is opaque: it is compared with the same client's last postflight, never computed here.
Next: policy/rule_sets.py computes what a normal sync sends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from santaserver.policy.states import PolicyState, RuleCounts
from santaserver.sync.states import Kind, Known, Reason

DRIFT_REASONS = frozenset(
    {
        Reason.LOST_POSTFLIGHT,
        Reason.RULES_HASH_CHANGED,
        Reason.RULE_COUNTS_CHANGED,
        Reason.RULES_MISSING,
    }
)
MAX_DRIFT_CLEANS = 2
"""Consecutive clean syncs because of drift; each one costs the Mac its unsent events."""
DRIFT_PAUSE = timedelta(hours=24)
"""After that many, drift causes none for this long, and for twice as long after each further one.

Either something on the Mac keeps changing its rules, or its counts stay wrong in any case.
"""
LONGEST_DRIFT_PAUSE = timedelta(days=30)
MAX_STATES = 8
"""Possible states of a machine above which a clean sync costs less."""
SELF_HEAL_AFTER = timedelta(days=30)
"""Agents before 2025.7 prove nothing by their counts, so their tables are rebuilt after this long."""
SELF_HEAL_SPREAD = timedelta(days=7)
"""By how much one machine's turn may come later than another's."""

STANDALONE = "STANDALONE"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What this preflight reports and proves."""

    wants_clean: bool = False
    rules_hash: str = ""
    client_mode: str = ""
    identity_conflict: bool = False
    compiler_withdrawn: bool = False
    """A rule that let a compiler's output run is gone; the rules it caused outlive it."""
    counts_fit: bool | None = None
    """Whether the reported counts fit any possible state; None when they were not compared."""
    rules_missing: bool = False
    """The rule table is empty although every possible state has rules."""
    expected: RuleCounts | None = None
    """What the confirmed state counts, when the reported counts do not fit."""
    rules_withdrawn: bool = False
    """A client that takes all rules at each sync has one that it should not have any more."""
    turn: float = 0.0
    """This machine's place, from 0 to 1, among those whose tables are rebuilt one after the other."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The kind of this sync and what to remember of the decision."""

    kind: Kind
    reason: Reason | None
    bases: tuple[PolicyState, ...]
    drift_suppressed: bool
    """Drift was seen, but clean syncs are paused: the machine counts as drifted."""
    drift_cleans: int
    last_drift_clean_at: datetime | None
    drift_since: datetime | None = None
    expected: RuleCounts | None = None


def decide(known: Known, evidence: Evidence, now: datetime) -> Plan:
    """Choose the kind of sync: the strongest one that any reason requires, with its first reason."""
    bases = possible_states(known)
    drift = _drift(known, evidence)
    claims = list(_claims(known, evidence, bases, now))
    due = next_drift_clean(known.drift_cleans, known.last_drift_clean_at)
    if drift is not None and (due is None or now >= due):
        claims.append((Kind.CLEAN, drift))
    kind, reason = _strongest(claims)
    since, expected = known.drift_since, known.expected
    if drift is not None:
        since, expected = since or now, evidence.expected
    if kind is Kind.NORMAL:
        if drift is None and _comparable(known, evidence):
            return Plan(kind, None, bases, False, 0, known.last_drift_clean_at)
        cleans, last = known.drift_cleans, known.last_drift_clean_at
        return Plan(kind, None, bases, drift is not None, cleans, last, since, expected)
    by_drift = reason in DRIFT_REASONS
    return Plan(
        kind,
        reason,
        (),
        False,
        known.drift_cleans + 1 if by_drift else known.drift_cleans,
        now if by_drift else known.last_drift_clean_at,
        since,
        expected,
    )


def next_drift_clean(cleans: int, last_at: datetime | None) -> datetime | None:
    """Return before when drift causes no further clean sync; None when it may at once."""
    if cleans < MAX_DRIFT_CLEANS or last_at is None:
        return None
    factor: int = 2 ** min(cleans - MAX_DRIFT_CLEANS, 10)
    return last_at + min(DRIFT_PAUSE * factor, LONGEST_DRIFT_PAUSE)


def counts_fit(reported: RuleCounts, expected: RuleCounts, client_mode: str) -> bool:
    """Tell whether a rule table may be in a state; in standalone mode it may have rules of its own too."""
    pairs = zip(reported, expected, strict=True)
    if client_mode == STANDALONE:
        return all(there >= ours for there, ours in pairs)
    return all(there == ours for there, ours in pairs)


def possible_states(known: Known) -> tuple[PolicyState, ...]:
    """List every state the Mac may be in, without repetition: confirmed, and sent but not confirmed.

    While the confirmed state is unknown these are only states that it may have compilers' output of.
    """
    states = [known.acked] if known.acked else []
    states += known.possible
    if known.pending and known.pending.page_served:
        states.append(known.pending.target)
    return tuple(dict.fromkeys(states))


def needs_counts(known: Known, evidence: Evidence) -> bool:
    """Tell whether counts have to stand in for the hash: before 2025.7, and with local approvals in it."""
    return known.acked is not None and not (
        evidence.rules_hash and known.acked_hash and evidence.client_mode != STANDALONE
    )


def _claims(
    known: Known, evidence: Evidence, bases: tuple[PolicyState, ...], now: datetime
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
    if evidence.rules_withdrawn:
        yield Kind.CLEAN, Reason.RULES_WITHDRAWN
    if len(bases) > MAX_STATES:
        yield Kind.CLEAN, Reason.TOO_MANY_STATES
    if _self_heal_due(known, evidence, now):
        yield Kind.CLEAN, Reason.SELF_HEAL


def _self_heal_due(known: Known, evidence: Evidence, now: datetime) -> bool:
    if evidence.rules_hash or known.last_clean_at is None:
        return False
    return now - known.last_clean_at >= SELF_HEAL_AFTER + evidence.turn * SELF_HEAL_SPREAD


def _drift(known: Known, evidence: Evidence) -> Reason | None:
    if known.acked is None:
        return None
    if evidence.rules_missing:
        return Reason.RULES_MISSING
    if evidence.rules_hash and known.acked_hash and evidence.client_mode != STANDALONE:
        if evidence.rules_hash == known.acked_hash:
            return None
        unconfirmed = known.pending is not None and known.pending.page_served
        return Reason.LOST_POSTFLIGHT if unconfirmed or known.possible else Reason.RULES_HASH_CHANGED
    return Reason.RULE_COUNTS_CHANGED if evidence.counts_fit is False else None


def _comparable(known: Known, evidence: Evidence) -> bool:
    return bool(evidence.counts_fit) or (
        evidence.client_mode != STANDALONE and bool(evidence.rules_hash and known.acked_hash)
    )


def _strongest(claims: list[tuple[Kind, Reason]]) -> tuple[Kind, Reason | None]:
    order = (Kind.CLEAN_ALL, Kind.CLEAN)
    for kind in order:
        for claimed, reason in claims:
            if claimed is kind:
                return kind, reason
    return Kind.NORMAL, None
