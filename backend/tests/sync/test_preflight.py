"""The kind of sync a machine gets, decided without I/O."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace as changed

from santaserver.policy.states import PolicyState
from santaserver.sync.preflight import DRIFT_PAUSE, Evidence, decide, needs_counts, possible_states
from santaserver.sync.states import Kind, Known, Reason, Session

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACKED = PolicyState(1, 10)
TARGET = PolicyState(1, 12)
SETTLED = Known(acked=ACKED, acked_hash="aa", confirmed_before=True)
SAME = Evidence(rules_hash="aa", client_mode="LOCKDOWN")
MOVED = Evidence(rules_hash="bb", client_mode="LOCKDOWN")


def session(kind: Kind = Kind.NORMAL, *, served: bool = True, target: PolicyState = TARGET) -> Session:
    return Session(7, target, kind, (ACKED,), "aa", drift_suppressed=False, page_served=served, sent=None)


@pytest.mark.parametrize(
    ("known", "evidence", "kind", "reason"),
    [
        (SETTLED, SAME, Kind.NORMAL, None),
        (Known(), SAME, Kind.CLEAN, Reason.NEW_MACHINE),
        (Known(confirmed_before=True), SAME, Kind.CLEAN, Reason.STATE_UNKNOWN),
        (SETTLED, replace(SAME, wants_clean=True), Kind.CLEAN, Reason.CLIENT_REQUESTED),
        (SETTLED, replace(SAME, identity_conflict=True), Kind.CLEAN, Reason.IDENTITY_CONFLICT),
        (SETTLED, replace(SAME, compiler_withdrawn=True), Kind.CLEAN_ALL, Reason.COMPILER_WITHDRAWN),
        (changed(SETTLED, queued_clean=Kind.CLEAN), SAME, Kind.CLEAN, Reason.OPERATOR),
        (changed(SETTLED, queued_clean=Kind.CLEAN_ALL), SAME, Kind.CLEAN_ALL, Reason.OPERATOR),
        (SETTLED, MOVED, Kind.CLEAN, Reason.RULES_HASH_CHANGED),
        (SETTLED, replace(MOVED, client_mode="STANDALONE"), Kind.NORMAL, None),
        (changed(SETTLED, pending=session()), SAME, Kind.NORMAL, None),
        (changed(SETTLED, pending=session()), MOVED, Kind.CLEAN, Reason.LOST_POSTFLIGHT),
        (changed(SETTLED, pending=session(Kind.CLEAN)), SAME, Kind.CLEAN, Reason.UNFINISHED_CLEAN),
        (
            changed(SETTLED, pending=session(Kind.CLEAN_ALL)),
            SAME,
            Kind.CLEAN_ALL,
            Reason.UNFINISHED_CLEAN,
        ),
        (SETTLED, Evidence(counts_fit=False), Kind.CLEAN, Reason.RULE_COUNTS_CHANGED),
        (SETTLED, Evidence(counts_fit=True), Kind.NORMAL, None),
        (
            changed(SETTLED, possible=tuple(PolicyState(9, n) for n in range(8))),
            SAME,
            Kind.CLEAN,
            Reason.TOO_MANY_STATES,
        ),
    ],
)
def test_kind_and_reason(known: Known, evidence: Evidence, kind: Kind, reason: Reason | None) -> None:
    plan = decide(known, evidence, NOW)
    assert (plan.kind, plan.reason) == (kind, reason)


def test_the_strongest_order_wins_and_names_its_reason() -> None:
    plan = decide(changed(SETTLED, queued_clean=Kind.CLEAN), replace(SAME, compiler_withdrawn=True), NOW)
    assert (plan.kind, plan.reason) == (Kind.CLEAN_ALL, Reason.COMPILER_WITHDRAWN)


def test_a_session_that_may_have_been_applied_becomes_a_possible_state() -> None:
    assert possible_states(changed(SETTLED, pending=session())) == (ACKED, TARGET)


def test_a_session_without_a_served_page_cannot_have_been_applied() -> None:
    assert possible_states(changed(SETTLED, pending=session(served=False))) == (ACKED,)


def test_every_possible_state_is_a_base_of_the_next_normal_sync() -> None:
    earlier = PolicyState(1, 11)
    plan = decide(changed(SETTLED, possible=(earlier,), pending=session()), SAME, NOW)
    assert plan.bases == (ACKED, earlier, TARGET)


def test_drift_cleans_twice_then_pauses_then_tries_again() -> None:
    known = SETTLED
    reasons = []
    for hour in (0, 1, 2, 3):
        plan = decide(known, MOVED, NOW + timedelta(hours=hour))
        reasons.append((plan.kind, plan.drift_suppressed))
        known = changed(known, drift_cleans=plan.drift_cleans, last_drift_clean_at=plan.last_drift_clean_at)
    assert reasons == [(Kind.CLEAN, False)] * 2 + [(Kind.NORMAL, True)] * 2
    assert decide(known, MOVED, NOW + timedelta(hours=1) + DRIFT_PAUSE).kind is Kind.CLEAN


def test_a_matching_hash_ends_the_count_of_drift_cleans() -> None:
    plan = decide(changed(SETTLED, drift_cleans=2, last_drift_clean_at=NOW), SAME, NOW)
    assert (plan.kind, plan.drift_suppressed, plan.drift_cleans) == (Kind.NORMAL, False, 0)


def test_a_pause_for_drift_does_not_hold_up_other_reasons() -> None:
    known = changed(SETTLED, drift_cleans=2, last_drift_clean_at=NOW)
    assert decide(known, replace(MOVED, wants_clean=True), NOW).reason is Reason.CLIENT_REQUESTED


@pytest.mark.parametrize(
    ("known", "evidence", "needed"),
    [
        (SETTLED, SAME, False),
        (SETTLED, Evidence(), True),
        (changed(SETTLED, acked_hash=""), SAME, True),
        (SETTLED, replace(SAME, client_mode="STANDALONE"), True),
        (Known(), Evidence(), False),
    ],
)
def test_counts_stand_in_only_where_a_hash_proves_nothing(
    known: Known, evidence: Evidence, needed: bool
) -> None:
    assert needs_counts(known, evidence) is needed
