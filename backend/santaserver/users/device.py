"""The cookie of a browser that has been used to log in to an account before.

It grants no access: it only prevents failed logins from elsewhere from slowing down the account's owner.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from starlette.responses import Response

from santaserver.settings import Settings

SECURE_NAME = "__Host-santa_device"
PLAIN_NAME = "santa_device"
LASTS = timedelta(days=180)
ID_BYTES = 12
PURPOSE = "device cookie"


def _name(settings: Settings) -> str:
    return SECURE_NAME if settings.secure_cookies else PLAIN_NAME


def _signed(username: str, device: str, until: str) -> bytes:
    return f"{username}\0{device}\0{until}".encode()


def known_device(cookies: Mapping[str, str], settings: Settings, username: str, now: datetime) -> str | None:
    """Return the name of the browser when its cookie was made here for this account."""
    device, _, rest = cookies.get(_name(settings), "").partition(".")
    until, _, signature = rest.partition(".")
    try:
        made = bytes.fromhex(signature)
    except ValueError:
        return None
    if not device or not settings.secret_keys.verify(PURPOSE, _signed(username, device, until), made):
        return None
    return device if float(until) > now.timestamp() else None


def set_device_cookie(response: Response, settings: Settings, username: str, now: datetime) -> None:
    """Give the browser a cookie after a good login."""
    device, until = secrets.token_urlsafe(ID_BYTES), str(int((now + LASTS).timestamp()))
    signature = settings.secret_keys.sign(PURPOSE, _signed(username, device, until)).hex()
    response.set_cookie(
        _name(settings),
        f"{device}.{until}.{signature}",
        max_age=int(LASTS.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings.secure_cookies,
    )
