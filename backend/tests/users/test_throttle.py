"""How long failed logins make somebody wait, and who that is."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from santaserver.users.address import client_address
from santaserver.users.throttle import LONGEST_DELAY, Failures, waiting_time

NOW = datetime(2026, 11, 23, tzinfo=UTC)
TRUSTED = (ip_network("10.0.0.0/8"),)


@given(st.integers(1, 10_000), st.integers(0, 100_000))
def test_the_wait_never_shrinks_with_more_failures_and_is_bounded(count: int, ago: int) -> None:
    last = NOW - timedelta(seconds=ago)
    wait = waiting_time(Failures(count, last), 5, NOW)
    assert timedelta(0) <= wait <= LONGEST_DELAY
    assert waiting_time(Failures(count + 1, last), 5, NOW) >= wait


def test_a_few_mistakes_cost_nothing() -> None:
    assert waiting_time(Failures(4, NOW), 5, NOW) == timedelta(0)
    assert waiting_time(None, 5, NOW) == timedelta(0)


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("1.2.3.4, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("10.0.0.8, 10.0.0.7", "10.0.0.8"),
        ("2001:db8::1", "2001:db8::1"),
        ("nonsense", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_proxy_of_ours(forwarded: str, address: str) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    request = Request({"type": "http", "headers": headers, "client": None})
    assert client_address(request, TRUSTED) == address
