"""The cookie that binds a sign-in to the browser that began it."""

import re
from collections.abc import Mapping

from starlette.responses import Response

from santaserver.oidc.attempt_repository import LASTS
from santaserver.settings import Settings

SECURE_NAME = "__Host-santa_signin"
PLAIN_NAME = "santa_signin"
_FORM = re.compile(r"[A-Za-z0-9_-]{43}")


def _name(settings: Settings) -> str:
    return SECURE_NAME if settings.secure_cookies else PLAIN_NAME


def read_browser_cookie(cookies: Mapping[str, str], settings: Settings) -> str | None:
    """Return what the browser was given."""
    value = cookies.get(_name(settings), "")
    return value if _FORM.fullmatch(value) else None


def set_browser_cookie(response: Response, value: str, settings: Settings) -> None:
    """Give the browser a secret for as long as a sign-in may take."""
    response.set_cookie(
        _name(settings),
        value,
        max_age=int(LASTS.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",  # the provider's redirect back is a navigation from another site
        secure=settings.secure_cookies,
    )
