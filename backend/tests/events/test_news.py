"""The messages to open browsers are limited, however much is uploaded."""

from datetime import UTC, datetime, timedelta

from santaserver.events.news import PER_SECOND, NewsBudget

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_burst_is_cut_and_room_comes_back_with_time() -> None:
    budget = NewsBudget()
    assert budget.take(3, NOW) == 3
    assert budget.take(1000, NOW) == PER_SECOND - 3
    assert budget.take(1, NOW) == 0
    assert budget.take(1000, NOW + timedelta(milliseconds=100)) == PER_SECOND / 10
    assert budget.take(1000, NOW + timedelta(days=1)) == PER_SECOND


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    budget = NewsBudget()
    budget.take(1000, NOW)
    assert budget.take(5, NOW - timedelta(hours=1)) == 0
