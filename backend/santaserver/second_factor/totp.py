"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, 30 seconds, as all apps have them. Pure."""

import base64
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

SECRET_BYTES = 20
DIGITS = 6
PERIOD = 30
"""Seconds of a time step."""
SKEW = 1
"""Steps that the clock of a phone may be early or late."""


def new_secret() -> bytes:
    """Return a random secret."""
    return secrets.token_bytes(SECRET_BYTES)


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a time step (RFC 4226, 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_at(now: datetime) -> int:
    """Return the time step of a moment."""
    return int(now.timestamp()) // PERIOD


def step_of_code(secret: bytes, code: str, now: datetime, last_step: int) -> int | None:
    """Return the time step that a code belongs to; None for a wrong one, and unless it is after the last.

    All codes that count are compared, and each in full: the time it takes says nothing about the code.
    """
    found = None
    for step in range(step_at(now) - SKEW, step_at(now) + SKEW + 1):
        same = hmac.compare_digest(code_at(secret, step).encode(), code.encode())
        if same and step > last_step:
            found = step
    return found


def typed_code(text: str) -> str | None:
    """Return a code as it was typed, perhaps with a space in the middle; None for what has another form."""
    code = "".join(text.split())
    return code if len(code) == DIGITS and code.isascii() and code.isdigit() else None


def shown_secret(secret: bytes) -> str:
    """Return the secret as it is typed into an app."""
    return base64.b32encode(secret).decode().rstrip("=")


def address(secret: bytes, username: str, issuer: str) -> str:
    """Return the address that an authenticator app reads from the QR code."""
    parameters = {
        "secret": shown_secret(secret),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": PERIOD,
    }
    label = f"{quote(issuer, safe='')}:{quote(username, safe='')}"
    return f"otpauth://totp/{label}?{urlencode(parameters, quote_via=quote)}"
