"""The counters that apply to a login, and how long failures delay the next one. Pure.

An account is slowed down for each network, so that an attacker cannot lock out a user from elsewhere. A
network is slowed down over all accounts that exist, so that made-up names lock nobody out. An account is
slowed down over all networks after many failures, so that a botnet gets no further; the browsers that were
logged in before have a counter of their own and are not concerned.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

FREE_PER_NAME = 5
FREE_PER_NETWORK = 30
FREE_PER_ACCOUNT = 100
FREE_PER_DEVICE = 10
FREE_TOKENS = 30
FIRST_DELAY = timedelta(seconds=2)
LONGEST_DELAY = timedelta(minutes=15)
MOST_STEPS = 20
FORGET_AFTER = timedelta(hours=24)
NETWORK_BITS = 64
UNKNOWN_NAMES = 4096
"""Counters that the names without an account share in a network, so that names cannot fill the table."""


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of failed logins; `free` of them cost nothing."""

    key: str
    free: int


def network_of(address: str) -> str:
    """Return whom an address belongs to: itself, or its /64, of which each customer has at least one."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> NETWORK_BITS << NETWORK_BITS)}/{NETWORK_BITS}"


def counters(username: str, network: str, *, known: bool, device: str | None) -> list[Counter]:
    """Return what counts an attempt, in the order that locks are taken in.

    `known` says whether there is such an account, `device` names a browser that logged in to it before.
    """
    if device is not None:
        return [Counter(f"device:{device}", FREE_PER_DEVICE)]
    if not known:
        shared = int.from_bytes(hashlib.sha256(username.encode()).digest()[:4]) % UNKNOWN_NAMES
        return [Counter(f"name:#{shared}@{network}", FREE_PER_NAME)]
    return [
        Counter(f"account:{username}", FREE_PER_ACCOUNT),
        Counter(f"name:{username}@{network}", FREE_PER_NAME),
        network_counter(network),
    ]


def network_counter(network: str) -> Counter:
    """Return the counter of a network, which refuses every name but counts only those that exist."""
    return Counter(f"network:{network}", FREE_PER_NETWORK)


def code_counters(username: str, network: str, device: str | None) -> list[Counter]:
    """Return what counts a code of the second step, in the order that locks are taken in."""
    if device is not None:
        return [Counter(f"code-device:{device}", FREE_PER_DEVICE)]
    return [
        Counter(f"code-account:{username}", FREE_PER_ACCOUNT),
        Counter(f"code-name:{username}@{network}", FREE_PER_NAME),
    ]


def passkey_counter(network: str) -> Counter:
    """Return the counter of passkeys that were refused."""
    return Counter(f"passkey:{network}", FREE_TOKENS)


def token_counter(network: str) -> Counter:
    """Return the counter of API tokens that were refused."""
    return Counter(f"token:{network}", FREE_TOKENS)


def setup_counter(network: str) -> Counter:
    """Return the counter of setup links that were not valid."""
    return Counter(f"setup:{network}", FREE_TOKENS)


def waiting_time(failures: int, last_at: datetime, free: int, now: datetime) -> timedelta:
    """Return how long the next attempt has to wait: doubling from 2 s to 15 minutes after `free` failures."""
    if failures < free or now - last_at > FORGET_AFTER:
        return timedelta(0)
    delay: timedelta = min(FIRST_DELAY * (1 << min(failures - free, MOST_STEPS)), LONGEST_DELAY)
    return max(last_at + delay - now, timedelta(0))
