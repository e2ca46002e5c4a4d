"""Decides whether a postflight confirms a sync. Pure; algorithm E, step 5."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from santaserver.sync.preflight import STANDALONE
from santaserver.sync.states import Kind, Session

WORDS_FOR = {
    Kind.NORMAL: frozenset({"NORMAL", 1}),
    Kind.CLEAN: frozenset({"CLEAN", "CLEAN_ALL", 2, 3}),
    Kind.CLEAN_ALL: frozenset({"CLEAN_ALL", 3}),
}
"""The kinds a Mac may report; one that wanted CLEAN_ALL turns our CLEAN into it."""
UNSAID = frozenset({"", 0, "SYNC_TYPE_UNSPECIFIED"})
"""Agents before 2025.1 do not send it."""


class Verdict(Enum):
    """What a postflight means."""

    CONFIRMED = "confirmed"
    STRAY = "stray"
    """It belongs to no open sync, perhaps to an earlier one: nothing changes, as if it had been lost."""
    REFUSED = "refused"
    """The Mac has other rules than were sent: its state is unknown from now on."""


@dataclass(frozen=True, slots=True)
class Report:
    """A postflight's content."""

    received: int
    processed: int
    sync_type: str | int
    rules_hash: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, the reason, and the hash to compare the next preflight with."""

    verdict: Verdict
    why: str = ""
    acked_hash: str = ""


def judge(
    session: Session | None,
    report: Report,
    acked_hash: str,
    client_mode: str,
    recent: Sequence[int] = (),
    *,
    counts: bool = True,
) -> Judgement:
    """Compare the Mac's report with what the open session sent.

    Without `counts`, the client is of a family that takes all rules at each sync, never says which kind
    of sync it did, and may say 0 for the number of rules that it got. `recent` are the numbers of rules
    of earlier syncs, from which `delta.page_of` keeps this one's apart.
    """
    if session is None or session.sent is None:
        why = "no sync is open" if session is None else "the last page of rules was not fetched"
        return Judgement(Verdict.STRAY, why)
    if not counts:
        report = replace(report, received=report.received or session.sent, sync_type="")
    if report.received != session.sent:
        return _other_number(report, session.sent, recent)
    if report.sync_type not in UNSAID and report.sync_type not in WORDS_FOR[session.kind]:
        return Judgement(Verdict.REFUSED, f"did {report.sync_type} instead of {session.kind.wire}")
    if session.drift_suppressed or _moved_without_rules(session, report, client_mode):
        return Judgement(Verdict.CONFIRMED, "the rules changed by other means", acked_hash)
    return Judgement(Verdict.CONFIRMED, "", report.rules_hash)


def _other_number(report: Report, sent: int, recent: Sequence[int]) -> Judgement:
    if report.received == 0 or report.received in recent:
        return Judgement(Verdict.STRAY, f"received {report.received} rules, perhaps those of an earlier sync")
    return Judgement(Verdict.REFUSED, f"received {report.received} of {sent} rules")


def _moved_without_rules(session: Session, report: Report, client_mode: str) -> bool:
    return (
        session.kind is Kind.NORMAL
        and session.sent == 0
        and client_mode != STANDALONE
        and bool(session.hash_before and report.rules_hash)
        and session.hash_before != report.rules_hash
    )
