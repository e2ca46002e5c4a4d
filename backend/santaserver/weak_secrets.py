"""Detects secrets that are not random. Pure."""

from ipaddress import ip_address
from itertools import pairwise
from urllib.parse import parse_qs, unquote, urlsplit

KNOWN_DEFAULTS = frozenset(
    {
        "changeme",
        "changeit",
        "changethis",
        "change-me",
        "change_me",
        "secret",
        "password",
        "passw0rd",
        "postgres",
        "postgresql",
        "santa",
        "santaserver",
        "admin",
        "default",
        "example",
        "test",
        "12345678",
        "123456",
    }
)
"""Values copied from examples; production refuses them."""

PLACEHOLDERS = (
    "changeme",
    "change-me",
    "change_me",
    "changethis",
    "change-this",
    "replace-me",
    "your-secret",
)
"""Placeholders in longer values."""

MIN_DISTINCT = 8
"""Different characters in a random key; of 32 random hexadecimal digits, fewer are one in millions."""


def is_known_default(secret: str) -> bool:
    """Return whether a password is in common password lists."""
    return secret.strip().lower() in KNOWN_DEFAULTS


def weakness(key: str) -> str | None:
    """Return why a long key is not random; None when it looks random."""
    lower = key.lower()
    if is_known_default(key) or any(word in lower for word in PLACEHOLDERS):
        return "is a known default"
    if len(set(key)) < MIN_DISTINCT:
        return f"has only {len(set(key))} different characters"
    if _repeats(key):
        return "repeats itself"
    if _is_sequence(key):
        return "is a sequence"
    return None


def _repeats(key: str) -> bool:
    """Tell whether a key is one part several times, the last time perhaps not in full."""
    return any(
        key == (key[:size] * (len(key) // size + 1))[: len(key)] for size in range(1, len(key) // 2 + 1)
    )


def _is_sequence(key: str) -> bool:
    """Tell whether most characters follow from the one before, as in the alphabet."""
    steps = [ord(after) - ord(before) for before, after in pairwise(key)]
    return sum(step in {-1, 0, 1} for step in steps) > len(steps) // 2


def password_of(address: str) -> str:
    """Return the password in a database's address, empty when it has none."""
    parts = urlsplit(address)
    return unquote(parts.password or "") or parse_qs(parts.query).get("password", [""])[-1]


def is_loopback(address: str) -> bool:
    """Tell whether an address of the web leads to this machine only."""
    host = urlsplit(address).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
