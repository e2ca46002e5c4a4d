"""What the soak finds wrong, and what it lets pass."""

from random import Random

import pytest

from tests.soak.ledger import Ledger
from tests.soak.outcomes import CUT, SLOW, Problem, Window, late, unexplained
from tests.soak.trends import LEAST_POINTS, leaks, trend

SETTLED = 12
"""Points of a run; a third of them warms up."""


def window(begun: float, fault_ended: float, ended: float, *explains: str, limit: float = 1.0) -> Window:
    """Return the window of a fault."""
    return Window("fault", frozenset(explains), limit, begun, fault_ended, ended)


def problem(begun: float, ended: float, kind: str) -> Problem:
    """Return a request that went wrong."""
    return Problem("client", "GET /", begun, ended, kind)


def test_what_grows_with_each_cycle_leaks_whatever_the_noise() -> None:
    chance = Random(1)
    values = [60e6 + 500e3 * cycle + chance.gauss(0, 200e3) for cycle in range(SETTLED)]
    [found] = leaks({("backend:0", "private memory"): values})
    assert found.startswith("backend:0: its private memory grows by")
    assert leaks({("backend:0", "descriptors"): [40, 40, 41, 41, 42, 43, 43, 44, 45, 46]}) != []


@pytest.mark.parametrize("seed", range(20))
def test_noise_and_caches_that_fill_are_no_leak(seed: int) -> None:
    chance = Random(seed)
    noisy = [60e6 + chance.gauss(0, 500e3) for _ in range(SETTLED)]
    assert leaks({("backend:0", "private memory"): noisy}) == []
    filling = [40e6, 50e6, 58e6, 60e6, *(60e6 + chance.gauss(0, 100e3) for _ in range(SETTLED - 4))]
    assert leaks({("backend:0", "private memory"): filling}) == []
    pools = [float(chance.randint(38, 44)) for _ in range(SETTLED)]
    assert leaks({("backend:0", "descriptors"): pools}) == []


def test_growth_that_is_certain_but_small_is_nobodys_concern() -> None:
    assert leaks({("proxy:0", "private memory"): [4e6 + 4096 * cycle for cycle in range(SETTLED)]}) == []
    assert leaks({("proxy:0", "descriptors"): [20.0] * 8 + [21.0] * 4}) == []


def test_too_few_idle_points_prove_nothing() -> None:
    [found] = leaks({("proxy:0", "threads"): [3.0] * LEAST_POINTS})
    assert "are too few" in found


def test_the_bound_of_a_slope_is_below_it_and_follows_the_number_of_points() -> None:
    chance = Random(2)
    values = [100.0 + cycle + chance.gauss(0, 3) for cycle in range(40)]
    few, many = trend(values[:8]), trend(values)
    assert few.least < few.slope
    assert 0 < many.least < many.slope < 1.2
    assert many.least > few.least


def test_an_acknowledged_write_may_not_be_lost() -> None:
    ledger = Ledger()
    ledger.was_acknowledged("a", ("BLOCKLIST", "1"))
    assert ledger.wrong({"a": ("BLOCKLIST", "1")}) == []
    ledger.was_acknowledged("a", ("BLOCKLIST", "2"))
    assert len(ledger.wrong({"a": ("BLOCKLIST", "1")})) == 1
    ledger = Ledger()
    ledger.was_acknowledged("a", None)
    assert len(ledger.wrong({"a": ("BLOCKLIST", "2")})) == 1
    assert len(Ledger().wrong({"b": ("BLOCKLIST", "9")})) == 1


def test_a_write_without_a_response_may_have_been_done_or_not() -> None:
    for there in ({"a": ("BLOCKLIST", "1")}, {"a": ("BLOCKLIST", "2")}):
        ledger = Ledger()
        ledger.was_acknowledged("a", ("BLOCKLIST", "1"))
        ledger.was_cut("a", ("BLOCKLIST", "2"))
        assert ledger.wrong(there) == []
        assert ledger.may_be("a") == {there["a"]}
    ledger = Ledger()
    ledger.was_cut("a", ("BLOCKLIST", "2"))
    assert ledger.wrong({}) == []
    assert len(ledger.wrong({"a": ("BLOCKLIST", "2")})) == 1, "it may not be done after all later on"


def test_only_the_kinds_of_problems_that_a_fault_brings_are_explained_and_only_meanwhile() -> None:
    fault = window(10, 11, 13, "502")
    assert unexplained([problem(10.5, 10.6, "502"), problem(9, 10.5, "502")], [fault]) == []
    assert len(unexplained([problem(10.5, 10.6, "500")], [fault])) == 1
    assert len(unexplained([problem(10.5, 10.6, CUT)], [fault])) == 1
    assert len(unexplained([problem(14, 14.1, "502")], [fault])) == 1
    assert unexplained([problem(14, 15, SLOW)], [fault]) == []
    [text] = unexplained([problem(12, 12.1, "503")], [fault])
    assert text.endswith("what happened meanwhile: fault")


def test_a_fault_that_only_delays_explains_no_lost_request() -> None:
    restart = window(10, 11, 13)
    assert len(unexplained([problem(10.5, 10.6, CUT)], [restart])) == 1


def test_recovery_counts_from_the_end_of_the_cause_to_the_last_problem() -> None:
    fault = window(10, 12, 16, "503", limit=1.0)
    assert fault.recovery([]) == 0
    assert fault.recovery([problem(10, 11, "503")]) == 0
    assert fault.recovery([problem(11, 12.5, "503"), problem(12, 12.7, SLOW)]) == pytest.approx(0.7)
    assert late([problem(12, 12.9, "503")], [fault]) == []
    [text] = late([problem(13, 13.5, "503")], [fault])
    assert text == "fault: recovered after 1.50 s instead of 1 s"
