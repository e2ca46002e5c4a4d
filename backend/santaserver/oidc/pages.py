"""What a browser gets when a sign-in fails: the login page, which shows why. Other clients get a problem."""

from html import escape
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from santaserver.oidc.failures import SignInRefused, told
from santaserver.oidc.provider import Provider
from santaserver.problems import problem_response

LOGIN = "/login"
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Sign-in failed</title></head>
<body>
<h1>Sign-in failed</h1>
<p>{message}</p>
<p>{hint}</p>
<p><a href="{login}">Back to the login page</a></p>
</body>
</html>
"""


def failed(request: Request, provider: Provider, error: SignInRefused) -> Response:
    """Return the response for a sign-in that was refused."""
    words = told(error.code, provider.name, provider.public_url)
    message, hint = words or ("The sign-in failed.", "")
    status = HTTPStatus(error.failure.status)
    if "text/html" not in request.headers.get("accept", ""):
        return problem_response(status, f"{message} {hint}".strip())
    login = f"{LOGIN}?{urlencode({'failure': error.code})}"
    page = PAGE.format(message=escape(message), hint=escape(hint), login=escape(login))
    return HTMLResponse(page, status, {"Refresh": f"0; url={login}", "Content-Security-Policy": POLICY})
