"""The cookie of a browser that has been used to log in to an account before.

It grants no access: it only prevents failed logins from elsewhere from slowing down the account's owner.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from starlette.responses import Response

from santaserver.settings import Settings

SECURE_NAME = "__Host-santa_device"
PLAIN_NAME = "santa_device"
LASTS = timedelta(days=180)
ID_BYTES = 12


def _name(settings: Settings) -> str:
    return SECURE_NAME if settings.secure_cookies else PLAIN_NAME


def _signature(key: str, username: str, device: str, until: str) -> str:
    signed = f"device\0{username}\0{device}\0{until}"
    return hmac.new(key.encode(), signed.encode(), hashlib.sha256).hexdigest()


def known_device(cookies: Mapping[str, str], settings: Settings, username: str, now: datetime) -> str | None:
    """Return the name of the browser when its cookie was made here for this account."""
    device, _, rest = cookies.get(_name(settings), "").partition(".")
    until, _, signature = rest.partition(".")
    expected = _signature(settings.security.secret_key, username, device, until)
    if not device or not hmac.compare_digest(signature.encode(), expected.encode()):
        return None
    return device if float(until) > now.timestamp() else None


def set_device_cookie(response: Response, settings: Settings, username: str, now: datetime) -> None:
    """Give the browser a cookie after a good login."""
    device, until = secrets.token_urlsafe(ID_BYTES), str(int((now + LASTS).timestamp()))
    signature = _signature(settings.security.secret_key, username, device, until)
    response.set_cookie(
        _name(settings),
        f"{device}.{until}.{signature}",
        max_age=int(LASTS.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings.secure_cookies,
    )
