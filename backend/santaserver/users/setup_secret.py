"""The secret of a setup link. Pure.

It is of lower-case letters and digits only: it must be readable in the log, where other tokens are masked.
"""

import hashlib
import secrets
from datetime import timedelta

SECRET_BYTES = 20
FIRST_ADMIN = timedelta(minutes=30)
"""How long the link for the first administrator is valid."""
INVITATION = timedelta(hours=24)
"""How long the link of a user is valid."""


def new_secret() -> str:
    """Return a random secret."""
    return secrets.token_hex(SECRET_BYTES)


def hash_secret(secret: str) -> bytes:
    """Return the stored form; secrets are long and random, so one hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def link(public_url: str, secret: str) -> str:
    """Return the link. The secret is in the fragment, which browsers send to nobody."""
    return f"{public_url.rstrip('/')}/setup#{secret}"
