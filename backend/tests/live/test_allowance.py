"""What open browsers are shown is bounded, however much is uploaded."""

from santaserver.live.allowance import Allowance


def test_a_burst_is_cut_and_room_comes_back_with_time() -> None:
    allowance = Allowance(5, 20)
    assert allowance.take(3, 100.0) == 3
    assert allowance.take(1000, 100.0) == 17
    assert allowance.take(1, 100.0) == 0
    assert allowance.take(1000, 101.0) == 5
    assert allowance.take(1000, 86_500.0) == 20


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    allowance = Allowance(5, 20)
    allowance.take(1000, 100.0)
    assert allowance.take(5, 50.0) == 0
