"""Every secret that a test run uses, and the check that none of them is in what was written."""

import json
from collections.abc import Iterable

import httpx

from tests.support.santa_client import SimulatedMac

SHORTEST = 8
"""A shorter one could be an ordinary word."""
_used: set[str] = set()


def remember(*secrets: str) -> None:
    """Note secrets that are used from now on."""
    _used.update(secrets)


def used() -> set[str]:
    """Return the secrets so far."""
    return {secret for secret in _used | SimulatedMac.secrets_used if len(secret) >= SHORTEST}


def lines_with_secrets(lines: Iterable[str]) -> list[str]:
    """Return the lines that show a secret."""
    secrets = used()
    return [line for line in lines if any(secret in line for secret in secrets)]


def watch(response: httpx.Response) -> None:
    """Note what a client of the REST interface sends and gets: an event hook of httpx."""
    remember(*response.cookies.values())
    path = response.request.url.path
    if path.endswith("/auth/login"):
        remember(_text_of(response.request.read(), "password"))
    elif response.request.method == "POST" and (
        path.endswith("/enrollments") or path.startswith("/api/v1/tokens")
    ):
        remember(_text_of(response.read(), "secret"))


def _text_of(body: bytes, name: str) -> str:
    try:
        found = json.loads(body)[name]
    except (ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""
