"""Refuses requests that another web site makes a browser send.

The rule (also used for the WebSocket handshake): for a request that changes something, a browser always sends
Sec-Fetch-Site or Origin. When both are absent the caller is not a browser and has no ambient cookie to abuse.
Neither has a request with an API token: another web site cannot make a browser send one.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from santaserver.bearer import bearer_of
from santaserver.problems import problem_response

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
GUARDED_PREFIX = "/api/v1/"


def same_origin(headers: Mapping[str, str], public_url: str) -> bool:
    """Tell whether a request comes from our own pages or from no browser at all."""
    origin = headers.get("origin")
    if origin and public_url and origin == public_url.rstrip("/"):
        return True
    site = headers.get("sec-fetch-site")
    if site:
        return site in {"same-origin", "none"}
    if origin is None:
        return True
    own = headers.get("x-forwarded-host") or headers.get("host") or ""
    return urlsplit(origin).netloc == own != ""


class OriginGuard:
    """ASGI middleware: returns 403 for cross-site requests that would change something."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        """Wrap `app`; `public_url` may be empty."""
        self.app = app
        self.public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on or refuse it."""
        if (
            scope["type"] == "http"
            and scope["method"] not in SAFE_METHODS
            and scope["path"].startswith(GUARDED_PREFIX)
            and bearer_of(headers := Headers(scope=scope)) is None
            and not same_origin(headers, self.public_url)
        ):
            refuse = problem_response(403, "This request came from another web site; use the console")
            await refuse(scope, receive, send)
            return
        await self.app(scope, receive, send)
