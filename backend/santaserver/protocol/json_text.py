"""Untrusted JSON: limits, and repair of characters that cannot be stored. Pure.

A parser creates an object for every pair of brackets, up to a hundred bytes for each byte of the text. So
possible objects are counted first, which takes a thousandth of the time.
"""

import re

from santaserver.errors import BadRequest, TooLarge

MAX_VALUES = 600_000
"""Values in a body that is only split: a full upload of the usual events has some 500,000."""
MAX_OBJECTS = 50_000
"""Values in a text that objects are made of, whatever they are."""
MAX_ESCAPES = 200_000

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL
)
_LONE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}\Z")


def values(text: bytes) -> int:
    """Return the maximum number of values in a text; what looks like values inside strings counts too."""
    return text.count(b",") + text.count(b"{") + text.count(b"[")


def check_values(text: bytes, most: int) -> None:
    """Raise `TooLarge` for a text that may hold more values."""
    if len(text) > most and values(text) > most:
        raise TooLarge(f"The body holds more than {most} values; for event uploads, lower batch_size")


def repaired(text: bytes) -> bytes:
    """Return a text without what no PostgreSQL can store, and with U+FFFD for what is no character.

    That is: bytes that are no UTF-8, halves of surrogate pairs, and NUL, which is dropped.
    """
    try:
        text.decode()
    except UnicodeDecodeError:
        text = text.decode(errors="replace").encode()
    if b"\\u" not in text:
        return text
    if text.count(b"\\") > MAX_ESCAPES:
        raise BadRequest(f"The body holds more than {MAX_ESCAPES} escaped characters")
    return _ESCAPE.sub(_storable, text)


def has_nul(text: bytes) -> bool:
    """Tell whether a string in a text may hold NUL, which PostgreSQL cannot store."""
    # Most texts have no escape at all, and one byte is looked for much faster than six.
    return b"\\" in text and b"\\u0000" in text


def _storable(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    if escape == b"\\u0000":
        return b""
    return b"\\ufffd" if _LONE.match(escape) else escape
