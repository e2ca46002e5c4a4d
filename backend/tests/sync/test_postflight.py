"""When a postflight confirms a sync."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from santaserver.policy.states import PolicyState
from santaserver.sync.postflight import Report, Verdict, judge
from santaserver.sync.states import Kind, Session

NORMAL = Session(
    7, PolicyState(1, 12), Kind.NORMAL, (), "aa", drift_suppressed=False, page_served=True, sent=3
)
CLEAN = changed(NORMAL, kind=Kind.CLEAN)
FULL = Report(received=3, processed=3, sync_type="NORMAL", rules_hash="bb")


@pytest.mark.parametrize(
    ("session", "report", "verdict", "acked_hash"),
    [
        (NORMAL, FULL, Verdict.CONFIRMED, "bb"),
        (NORMAL, replace(FULL, sync_type=""), Verdict.CONFIRMED, "bb"),
        (NORMAL, replace(FULL, sync_type=1), Verdict.CONFIRMED, "bb"),
        (NORMAL, replace(FULL, processed=2), Verdict.CONFIRMED, "bb"),
        (NORMAL, replace(FULL, received=2), Verdict.REFUSED, ""),
        (NORMAL, replace(FULL, sync_type="CLEAN"), Verdict.REFUSED, ""),
        (CLEAN, replace(FULL, sync_type="CLEAN"), Verdict.CONFIRMED, "bb"),
        (CLEAN, replace(FULL, sync_type="CLEAN_ALL"), Verdict.CONFIRMED, "bb"),
        (CLEAN, FULL, Verdict.REFUSED, ""),
        (changed(CLEAN, kind=Kind.CLEAN_ALL), replace(FULL, sync_type="CLEAN"), Verdict.REFUSED, ""),
        (None, FULL, Verdict.STRAY, ""),
        (changed(NORMAL, sent=None), FULL, Verdict.STRAY, ""),
        (changed(NORMAL, drift_suppressed=True), FULL, Verdict.CONFIRMED, "before"),
    ],
)
def test_verdict(session: Session | None, report: Report, verdict: Verdict, acked_hash: str) -> None:
    judgement = judge(session, report, "before", "LOCKDOWN")
    assert (judgement.verdict, judgement.acked_hash) == (verdict, acked_hash)


def test_a_hash_that_moved_without_rules_is_not_taken_as_confirmed() -> None:
    judgement = judge(changed(NORMAL, sent=0), replace(FULL, received=0), "aa", "LOCKDOWN")
    assert (judgement.verdict, judgement.acked_hash) == (Verdict.CONFIRMED, "aa")


def test_a_count_of_an_earlier_sync_is_left_aside() -> None:
    for received in (0, 2):
        report = replace(FULL, received=received)
        assert judge(NORMAL, report, "aa", "LOCKDOWN", recent=(2, 5)).verdict is Verdict.STRAY
    assert judge(NORMAL, replace(FULL, received=1), "aa", "LOCKDOWN", recent=(2,)).verdict is Verdict.REFUSED


def test_local_approvals_may_move_the_hash_in_standalone_mode() -> None:
    judgement = judge(changed(NORMAL, sent=0), replace(FULL, received=0), "aa", "STANDALONE")
    assert judgement.acked_hash == "bb"
