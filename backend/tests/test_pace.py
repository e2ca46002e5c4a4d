"""Work on a thread pauses while others need the processor, and only then."""

import pytest

from santaserver.pace import LONGEST, SHORTEST, Pace


class Thread:
    """A thread whose times are set."""

    def __init__(self) -> None:
        self.computed = self.passed = 0.0
        self.pauses: list[float] = []
        self.pace = Pace(lambda: self.computed, lambda: self.passed, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.passed += seconds

    def work(self, computing: float, waiting: float) -> None:
        self.computed += computing
        self.passed += computing + waiting
        self.pace()


def test_nothing_pauses_on_a_free_processor() -> None:
    thread = Thread()
    for _ in range(100):
        thread.work(computing=0.01, waiting=SHORTEST / 2)
    assert not thread.pauses


@pytest.mark.parametrize("waiting", [0.001, 0.005, 0.02])
def test_it_pauses_twice_as_long_as_it_waited(waiting: float) -> None:
    thread = Thread()
    thread.work(computing=0.01, waiting=waiting)
    thread.work(computing=0.01, waiting=0)
    thread.work(computing=0.01, waiting=waiting)
    assert thread.pauses == pytest.approx([2 * waiting, 2 * waiting])


def test_no_load_stops_it() -> None:
    thread = Thread()
    for _ in range(10):
        thread.work(computing=0.001, waiting=30)
    assert thread.pauses == [LONGEST] * 10
