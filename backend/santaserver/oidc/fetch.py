"""HTTP requests to the identity provider, with a deadline and a limit of size; redirects are not followed.

They run in threads of their own, so that a provider that does not answer delays nothing else.
"""

import asyncio
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

DEADLINE = 10.0
THREADS = 8
MAX_ANSWER = 1024 * 1024
"""Bytes of an answer."""
HTTPS_PORT = 443
OK = 200


class ProviderError(Exception):
    """The provider did not answer, or not as it has to; the message is for the administrator."""


class Unreachable(ProviderError):  # noqa: N818 - what it is
    """No answer came, or none that this server may use."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes

    def json(self) -> dict[str, object]:
        """Return the object in the body."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, object])
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProviderError(f"its answer (status {self.status}) is not a JSON object") from error


class Fetcher:
    """Sends requests; one for each process."""

    def __init__(self, deadline: float = DEADLINE) -> None:
        """Prepare; threads start when they are needed."""
        self._deadline = deadline
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="identity provider")
        self._tls: ssl.SSLContext | None = None

    async def send(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float | None = None,
    ) -> Answer:
        """Send a GET, or a POST of `body`; raise `Unreachable` when no answer comes in time."""
        limit = min(deadline or self._deadline, self._deadline)
        if self._tls is None and url.startswith("https:"):
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        call = _Call(url, {"Accept": "application/json", **(headers or {})}, body, limit, self._tls)
        place = urlsplit(url)
        try:
            async with asyncio.timeout(limit):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call.run)
        except TimeoutError as error:
            raise Unreachable(f"{place.netloc} did not answer within {limit:.0f} s") from error
        except ssl.SSLCertVerificationError as error:
            reason = f"the certificate of {place.netloc} is not valid: {error.verify_message}"
            raise Unreachable(
                f"{reason}. A certificate authority of your own belongs in SSL_CERT_FILE"
            ) from error
        except (OSError, HTTPException, ValueError) as error:
            kind = error.__class__.__name__
            raise Unreachable(f"{place.netloc} cannot be reached: {kind}: {error}") from error
        finally:
            call.abort()

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Call:
    """One request; `abort` ends it from another thread."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limit: float,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._parts = urlsplit(url)
        self._headers = headers
        self._body = body
        self._until = time.monotonic() + limit
        self._tls = tls
        self._aborted = False
        self._connection: HTTPConnection | None = None

    def run(self) -> Answer:
        """Send it and return the answer."""
        left = self._until - time.monotonic()
        if left <= 0 or self._aborted:
            raise TimeoutError("there was no time left")
        connection = self._connection = self._connect(left)
        path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        try:
            method = "GET" if self._body is None else "POST"
            connection.request(method, path, self._body, dict(self._headers))
            response = connection.getresponse()
            body = response.read(MAX_ANSWER + 1)
        finally:
            connection.close()
        if len(body) > MAX_ANSWER:
            raise HTTPException(f"its answer is larger than {MAX_ANSWER} bytes")
        return Answer(response.status, body)

    def abort(self) -> None:
        """Let a thread that still waits for the provider go on."""
        self._aborted = True
        opened = self._connection.sock if self._connection else None
        if opened is not None:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def _connect(self, left: float) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme != "https":
            return HTTPConnection(host, port, timeout=left)
        proxy = _proxy_for(host)
        if proxy is None:
            return HTTPSConnection(host, port, timeout=left, context=self._tls)
        through = HTTPSConnection(proxy.hostname or "", proxy.port, timeout=left, context=self._tls)
        through.set_tunnel(host, port or HTTPS_PORT, _credentials(proxy))
        return through


def _proxy_for(host: str) -> SplitResult | None:
    """Return the proxy that the environment names for https, if any."""
    address = getproxies().get("https", "")
    if not address or proxy_bypass(host):
        return None
    return urlsplit(address if "://" in address else f"http://{address}")


def _credentials(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(login.encode()).decode()}"}
