"""A client of the REST interface that changes what is there now: it reads the version before each change.

It confirms whatever it is asked, like someone who is in a hurry.
"""

import re
from typing import Any

import httpx

CHANGES = frozenset({"PUT", "PATCH", "DELETE"})
MONITOR, RELEASE = "/monitor-mode", "/release"
SECRETS = re.compile(r"(/enrollments/\d+)/secrets(/\d+)?$")
WITHOUT = ("/api/v1/sessions", "/api/v1/auth", "/api/v1/tokens")
"""What has no versions."""


class RestClient(httpx.Client):
    """`If-Match` is added unless a test sends its own, or sets `careful` to send none."""

    careful = False

    def request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send a request."""
        headers = httpx.Headers(options.pop("headers", None))
        path = str(url)
        if not self.careful and "if-match" not in headers and changes(method, path):
            headers["If-Match"] = self.version(path, options.get("params"))
        response = super().request(method, url, headers=headers, **options)
        question = asked(response)
        if self.careful or question is None:
            return response
        confirmed = httpx.URL(path).copy_merge_params(options.pop("params", None) or {})
        confirmed = confirmed.copy_add_param("confirm", question["token"])
        return super().request(method, confirmed, headers=headers, **options)

    def version(self, path: str, params: Any = None) -> str:  # noqa: ANN401 - as httpx takes them
        """Return the version of what a path changes; `*` for what is not there."""
        read = SECRETS.sub(r"\1", path.removesuffix(MONITOR).removesuffix(RELEASE))
        response = super().request("GET", read, params=params)
        etag: str = response.headers.get("etag", "*")
        return etag


def asked(response: httpx.Response) -> dict[str, Any] | None:
    """Return the question that a change was answered with."""
    if response.status_code != httpx.codes.CONFLICT:
        return None
    question: dict[str, Any] | None = response.json().get("confirm")
    return question


def plain(response: httpx.Response) -> dict[str, Any]:
    """Return an object without the name of its version, which the header has too."""
    shown: dict[str, Any] = response.json()
    assert shown.pop("etag") == response.headers["etag"]
    return shown


def changes(method: str, path: str) -> bool:
    """Tell whether a request has to say which version it changes."""
    if path.startswith(WITHOUT) or not path.startswith("/api/v1/"):
        return False
    posted = path.endswith(MONITOR) or SECRETS.search(path) is not None
    return method in CHANGES or (method == "POST" and posted)
