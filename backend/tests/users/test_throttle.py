"""How long failed logins make someone wait, and who that is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from santaserver.client_address import client_address
from santaserver.users.throttle import LONGEST_DELAY, counters, network_of, waiting_time

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@given(st.integers(1, 10_000), st.integers(0, 100_000))
def test_the_wait_never_shrinks_with_more_failures_and_is_bounded(count: int, ago: int) -> None:
    last = NOW - timedelta(seconds=ago)
    wait = waiting_time(count, last, 5, NOW)
    assert timedelta(0) <= wait <= LONGEST_DELAY
    assert waiting_time(count + 1, last, 5, NOW) >= wait


def test_a_few_errors_cost_nothing() -> None:
    assert waiting_time(4, NOW, 5, NOW) == timedelta(0)
    assert waiting_time(5, NOW, 5, NOW) > timedelta(0)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_an_address_of_ipv6_counts_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_made_up_names_share_a_bounded_number_of_counters_and_leave_the_network_alone() -> None:
    keys = {
        counter.key
        for number in range(20_000)
        for counter in counters(f"made-up-{number}", "192.0.2.7", known=False, device=None)
    }
    assert len(keys) <= 4096
    assert not [key for key in keys if key.startswith(("network:", "account:"))]


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"x-real-ip": "203.0.113.9"}, "203.0.113.9"),
        ({"x-real-ip": "2001:db8::1", "x-forwarded-for": "198.51.100.7"}, "2001:db8::1"),
        ({"x-forwarded-for": "198.51.100.7", "forwarded": "for=198.51.100.7"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_client_is_who_the_proxy_says_and_nobody_else(headers: dict[str, str], address: str) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    request = Request({"type": "http", "headers": raw, "client": None})
    assert client_address(request) == address
