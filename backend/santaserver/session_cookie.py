"""The session cookie: its name and flags, in one place."""

from collections.abc import Mapping

from starlette.responses import Response

from santaserver.settings import Settings

SECURE_NAME = "__Host-santa_session"
PLAIN_NAME = "santa_session"


def cookie_name(settings: Settings) -> str:
    """Return the name: with the `__Host-` prefix unless the console is served over plain http."""
    return SECURE_NAME if settings.secure_cookies else PLAIN_NAME


def read_session_cookie(cookies: Mapping[str, str], settings: Settings) -> str | None:
    """Return the session id that the browser sent, if any."""
    return cookies.get(cookie_name(settings)) or None


def session_cookie(token: str, settings: Settings) -> str:
    """Return the header that sets the session cookie."""
    response = Response()
    set_session_cookie(response, token, settings)
    return response.headers["set-cookie"]


def set_session_cookie(response: Response, token: str, settings: Settings) -> None:
    """Set the session cookie; it ends with the browser session or with ours."""
    response.set_cookie(
        cookie_name(settings), token, path="/", httponly=True, samesite="lax", secure=settings.secure_cookies
    )


def clear_session_cookie(response: Response, settings: Settings) -> None:
    """Make the browser forget the session id."""
    response.delete_cookie(
        cookie_name(settings), path="/", httponly=True, samesite="lax", secure=settings.secure_cookies
    )
