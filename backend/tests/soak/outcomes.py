"""Judges what became of requests while faults happened. Times are seconds of the monotonic clock. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

CUT = "cut"
"""The problem of a request whose connection ended, or that none could be made for."""
SLOW = "slow"
"""The problem of a request that was answered as it should be, but late."""
DISTURBED = 1.0
"""Seconds above which a response is late."""


@dataclass(frozen=True)
class Problem:
    """A request that was not answered as it should be."""

    client: str
    request: str
    begun: float
    ended: float
    kind: str
    """`cut`, `slow` or the status."""
    detail: str = ""


@dataclass(frozen=True)
class Window:
    """One fault: when it began, when its cause was gone, when all was calm again."""

    fault: str
    explains: frozenset[str]
    """Kinds of problems that it may bring; late responses are always among them."""
    limit: float
    """Seconds that the server may take to recover."""
    begun: float
    fault_ended: float
    ended: float

    def brought(self, problem: Problem) -> bool:
        """Tell whether a problem came meanwhile."""
        return problem.begun <= self.ended and problem.ended >= self.begun

    def recovery(self, problems: Sequence[Problem]) -> float:
        """Return the seconds from the end of its cause to the end of the last problem that it explains."""
        mine = [one.ended for one in problems if self.brought(one) and self.covers(one)]
        return max([0.0, *(ended - self.fault_ended for ended in mine)])

    def covers(self, problem: Problem) -> bool:
        """Tell whether it may bring such a problem."""
        return problem.kind == SLOW or problem.kind in self.explains


def unexplained(problems: Sequence[Problem], windows: Sequence[Window]) -> list[str]:
    """Return what no fault explains, one sentence each."""
    found = []
    for problem in problems:
        beside = [window for window in windows if window.brought(problem)]
        if problem.kind == SLOW or any(window.covers(problem) for window in beside):
            continue
        meanwhile = ", ".join(window.fault for window in beside) or "nothing"
        found.append(
            f"{problem.client}: {problem.request} ended with {problem.kind} {problem.detail}".rstrip()
            + f" after {problem.ended - problem.begun:.2f} s; what happened meanwhile: {meanwhile}"
        )
    return found


def late(problems: Sequence[Problem], windows: Sequence[Window]) -> list[str]:
    """Return the faults after which the server recovered too late, one sentence each."""
    return [
        f"{window.fault}: recovered after {taken:.2f} s instead of {window.limit:g} s"
        for window in windows
        if (taken := window.recovery(problems)) > window.limit
    ]


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all is not above; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
