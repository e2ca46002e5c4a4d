"""A real OpenID provider (`oidc-provider` of npm) with faults to switch on, and a browser made of HTTP."""

import os
import re
import select
import shutil
import subprocess
import uuid
from html import unescape
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx

from tests.support import secrets
from tests.support.sockets import NO_TLS

FOLDER = Path(__file__).parents[1] / "provider"
REPOSITORY = Path(__file__).parents[3]
PUBLIC_URL = "http://testserver"
"""Of `RunningServer`; the browser made of HTTP knows where that is."""
CLIENT_ID = "santaserver"
CLIENT_SECRET = "client-secret-of-the-tests-0123456789"
START = "/api/v1/auth/oidc/start"
CALLBACK = "/api/v1/auth/oidc/callback"
STEPS = 12
START_LIMIT = 60.0


def node() -> str:
    """Return the program: that of `cargo xtask`, or the machine's."""
    own = REPOSITORY / ".dev/tools/node/path/node"
    found = os.environ.get("SANTA_NODE") or (str(own) if own.exists() else shutil.which("node"))
    if not found or not (FOLDER / "node_modules").is_dir():
        raise RuntimeError("the test provider needs Node.js and its packages: cargo xtask ci backend-test")
    return found


class Provider:
    """A running provider; use it as a context manager."""

    def __init__(self, path: str = "", port: int = 0, public_url: str = PUBLIC_URL) -> None:
        """Prepare one whose issuer ends with `path`."""
        arguments = [str(port), path, CLIENT_ID, CLIENT_SECRET, public_url]
        self._command = [node(), str(FOLDER / "provider.mjs"), *arguments]
        self.issuer = ""

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(  # noqa: S603 - the found node
            self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_LIMIT)
        self.issuer = self._process.stdout.readline().strip() if ready else ""
        if not self.issuer.startswith("http://127.0.0.1:"):
            self._process.kill()
            raise RuntimeError("the provider did not start")
        self._client = httpx.Client(base_url=self.issuer, verify=NO_TLS, timeout=30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self._client.close()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def origin(self) -> str:
        """Its address without a path."""
        return "http://" + urlsplit(self.issuer).netloc

    @property
    def environ(self) -> dict[str, str]:
        """What a server is configured with to use it."""
        return {"OIDC_ISSUER": self.issuer, "CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": CLIENT_SECRET}

    def order(self, **orders: object) -> dict[str, Any]:
        """Tell it what to do from now on."""
        answer: dict[str, Any] = self._client.post(f"{self.origin}/_control", json=orders).json()
        return answer

    def reset(self) -> None:
        """Have no faults, its first key, and know nobody in particular."""
        self.order(reset=True)

    def claims(self, **claims: object) -> None:
        """Change the claims of the ID tokens to come; None leaves one out, "+9" is in 9 seconds."""
        self.order(fault={"claims": claims})

    def graph(self, *pages: list[str], status: int = 200, hang: bool = False) -> None:
        """Let Microsoft Graph have these groups."""
        self._client.post(f"{self.origin}/_graph", json={"pages": pages, "status": status, "hang": hang})

    def calls(self) -> list[str]:
        """Return the paths that were asked for since the last time."""
        found: list[str] = self.order(calls=True)["calls"]
        return found

    def count(self, end: str) -> int:
        """Return how often paths with this end were asked for since the last look."""
        return sum(path.endswith(end) for path in self.calls())

    def logout_token(self, **changes: Any) -> str:  # noqa: ANN401 - JSON
        """Return a logout token as the provider signs it, with changed claims."""
        header = changes.pop("header", {"typ": "logout+jwt"})
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": "+0",
            "exp": "+120",
            "jti": str(uuid.uuid4()),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            **changes,
        }
        token: str = self.order(token={"claims": claims, "header": header})["token"]
        return token


class Browser:
    """Follows redirects to the provider and back to the server, and fills in the forms."""

    def __init__(self, server: httpx.Client, login: str = "lena") -> None:
        """A browser of someone, with cookies of the server and of the provider."""
        self.server = server
        self.provider = httpx.Client(verify=NO_TLS, timeout=30)
        self.login = login

    def begin(self, path: str = "/") -> str:
        """Return where the server sends the browser to sign in."""
        response = self.server.get(START, params={"next": path})
        assert response.status_code == httpx.codes.SEE_OTHER, response.text
        return response.headers["location"]

    def consent(self, address: str) -> str:
        """Sign in at the provider; return where it sends the browser, without the host."""
        response = self.provider.get(address)
        for _ in range(STEPS):
            if response.is_redirect:
                address = urljoin(str(response.url), response.headers["location"])
                if address.startswith(PUBLIC_URL):
                    return address.removeprefix(PUBLIC_URL)
                response = self.provider.get(address)
            else:
                response = self._submit(response)
        raise AssertionError(f"the provider does not come to an end: {response.text[:500]}")

    def _submit(self, page: httpx.Response) -> httpx.Response:
        action = re.search(r'<form[^>]* action="([^"]*)"', page.text)
        assert action is not None, page.text[:1000]
        fields = re.findall(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"', page.text)
        values = {name: unescape(value) for name, value in fields}
        if 'name="login"' in page.text:
            values |= {"login": self.login, "password": "any"}
        return self.provider.post(urljoin(str(page.url), unescape(action[1])), data=values)

    def sign_in(self, path: str = "/") -> httpx.Response:
        """Go all the way; return the server's last response."""
        return self.back(self.consent(self.begin(path)))

    def back(self, address: str) -> httpx.Response:
        """Come back to the server."""
        response = self.server.get(address)
        secrets.remember(*self.server.cookies.values())
        return response

    def close(self) -> None:
        """Close the connections to the provider."""
        self.provider.close()
