"""Cookies that bind what was begun in a browser to it, until it is finished there."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from starlette.responses import Response

from santaserver.settings import Settings

SECRET_BYTES = 32
_FORM = re.compile(r"[A-Za-z0-9_-]{43}")


def new_secret() -> str:
    """Return a random value for a cookie."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> bytes:
    """Return the stored form of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


class BrowserCookie(NamedTuple):
    """A cookie that holds a secret for a short time."""

    name: str
    lasts: timedelta

    def _full_name(self, settings: Settings) -> str:
        return f"__Host-{self.name}" if settings.secure_cookies else self.name

    def read(self, cookies: Mapping[str, str], settings: Settings) -> str | None:
        """Return what the browser was given."""
        value = cookies.get(self._full_name(settings), "")
        return value if _FORM.fullmatch(value) else None

    def set(self, response: Response, secret: str, settings: Settings) -> None:
        """Give a secret to the browser."""
        response.set_cookie(
            self._full_name(settings),
            secret,
            max_age=int(self.lasts.total_seconds()),
            path="/",
            httponly=True,
            samesite="strict",
            secure=settings.secure_cookies,
        )

    def clear(self, response: Response, settings: Settings) -> None:
        """Make the browser forget it."""
        response.delete_cookie(
            self._full_name(settings),
            path="/",
            httponly=True,
            samesite="strict",
            secure=settings.secure_cookies,
        )
