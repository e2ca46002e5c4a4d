"""The secrets of enrollments: how they are made, shown by a Mac, and stored."""

import hashlib
import secrets
from collections.abc import Mapping

HEADER = "X-Santa-Enrollment"
"""For agents whose system reserves Authorization."""
SECRET_BYTES = 24


def new_secret() -> str:
    """Return a random secret that needs no escaping in a URL."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hash_secret(secret: str) -> bytes:
    """Return the stored form of a secret; secrets are long and random, so one hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def shown_secret(fields: Mapping[str, str], in_path: str | None) -> str | None:
    """Return the secret a request carries: in the path, as a bearer token, or in a field of its own.

    The names of `fields` are in lower case.
    """
    if in_path:
        return in_path
    scheme, _, token = fields.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return fields.get(HEADER.lower()) or None
