"""The token of a request: what the header `Authorization: Bearer …` holds. Pure."""

from collections.abc import Mapping

SCHEME = "bearer"


def bearer_of(headers: Mapping[str, str]) -> str | None:
    """Return the token that a request carries; None when it carries none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == SCHEME else None
