"""Recovery codes: each replaces the second factor once. Pure."""

import base64
import hashlib
import secrets

CODES = 10
BYTES = 10
"""80 random bits: their hash cannot be reversed by trying."""
GROUP = 4
LENGTH = 16


def new_codes() -> list[str]:
    """Return a set of codes as they are shown."""
    return [_new_code() for _ in range(CODES)]


def _new_code() -> str:
    text = base64.b32encode(secrets.token_bytes(BYTES)).decode().lower()
    return "-".join(text[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def hash_code(text: str) -> bytes:
    """Return the stored form of a code, typed in capitals or not, with or without hyphens."""
    plain = "".join(text.lower().replace("-", " ").split())
    return hashlib.sha256(b"recovery code\0" + plain.encode("utf-8", "surrogateescape")).digest()
