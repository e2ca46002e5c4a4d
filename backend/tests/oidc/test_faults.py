"""A provider that is down, slow, wrong, or of another time: clear words, a hint in the log, no session."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import httpx
import pytest

from santaserver.oidc import failures
from santaserver.oidc import provider as provider_module
from santaserver.oidc.fetch import MAX_ANSWER
from tests.oidc.conftest import OpenBrowser, Shared
from tests.support.postgres import fetch, value
from tests.support.provider import START, Browser, Provider
from tests.support.server import RunningServer
from tests.support.sockets import listen_on_loopback

METADATA = "/openid-configuration"


def set_deadline(server: RunningServer, seconds: float) -> None:
    """Let the server wait less for the provider than it does in earnest."""
    server.app.state.santa.provider.fetcher._deadline = seconds


def nobody(server: RunningServer) -> bool:
    """Tell whether nobody has an account or a session but the administrator."""
    sessions: int = value(server.dsn, "select count(*) from user_session")
    people: int = value(server.dsn, "select count(*) from user_identity")
    return (sessions, people) == (0, 0)


def expect(response: httpx.Response, status: int, code: str) -> None:
    """Expect a refusal and its words."""
    words = failures.FAILURES[code].message.format(name="127.0.0.1", public_url="http://testserver")
    assert (response.status_code, words in response.text) == (status, True), response.text
    assert "set-cookie" not in response.headers


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Return what the log warns of."""
    with caplog.at_level(logging.WARNING, "santaserver.oidc"):
        yield caplog


@contextmanager
def wire(answer: bytes, pause: float = 0.0) -> Iterator[str]:
    """Yield the issuer of a server that sends these bytes to everybody, then perhaps one more at a time."""
    listener = listen_on_loopback()
    listener.settimeout(10)

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            Thread(target=talk, args=(peer,), daemon=True).start()

    def talk(peer: socket.socket) -> None:
        with peer:
            try:
                peer.recv(65536)
                peer.sendall(answer)
                while pause:
                    time.sleep(pause)
                    peer.sendall(b"x")
            except OSError:
                return

    thread = Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WIRE = {
    "nothing listens": (None, failures.UNREACHABLE),
    "it says nothing": (b"", failures.UNREACHABLE),
    "it drips": (OK + b"Content-Length: 100000\r\n\r\n{", failures.UNREACHABLE),
    "it drips a header": (b"HTTP/1.1 200 OK\r\nX: ", failures.UNREACHABLE),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n", failures.UNREACHABLE),
    "too much": (OK + b"Content-Length: 99999999\r\n\r\n" + b" " * (MAX_ANSWER + 10), failures.UNREACHABLE),
    "a redirect": (
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
        failures.MISCONFIGURED,
    ),
    "an error": (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", failures.UNREACHABLE),
    "no JSON": (OK + b"Content-Length: 6\r\n\r\n<html>", failures.MISCONFIGURED),
    "a list": (OK + b"Content-Length: 2\r\n\r\n[]", failures.MISCONFIGURED),
    "deep": (OK + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000, failures.MISCONFIGURED),
}


@pytest.mark.parametrize("name", WIRE)
def test_an_issuer_that_is_no_provider_delays_and_breaks_nothing(
    dsn: str, warnings: pytest.LogCaptureFixture, name: str
) -> None:
    answer, code = WIRE[name]
    pause = 0.05 if answer is not None and ("drips" in name or not answer) else 0.0
    with wire(answer or b"", pause) as listening:
        issuer = "http://127.0.0.1:9" if answer is None else listening
        environ = {"OIDC_ISSUER": issuer, "CLIENT_ID": "x", "CLIENT_SECRET": "y" * 20}
        with RunningServer(dsn, environ) as server, server.client() as client:
            if pause:
                set_deadline(server, 0.5)
            expect(client.get(START), 502, code)
            assert client.get("/api/v1/auth/methods").json()["provider"]["name"] == "127.0.0.1"
            assert nobody(server)
    assert issuer.removeprefix("http://") in warnings.text


METADATA_FAULTS: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://login.example.com"},
    "an issuer with a slash": {"issuer": "http://127.0.0.1/"},
    "an issuer that is no text": {"issuer": 7},
    "no authorization endpoint": {"authorization_endpoint": None},
    "an endpoint in clear text": {"token_endpoint": "http://login.example.com/token"},
    "an endpoint with a password": {"token_endpoint": "https://u:p@login.example.com/token"},
    "an endpoint of another kind": {"jwks_uri": "file:///etc/passwd"},
    "an endpoint that is no text": {"jwks_uri": {"a": 1}},
    "an endpoint that is no address": {"jwks_uri": "https://[::1"},
}


@pytest.mark.parametrize("name", METADATA_FAULTS)
def test_wrong_metadata_is_named_in_the_log(
    dsn: str, provider: Provider, warnings: pytest.LogCaptureFixture, name: str
) -> None:
    provider.order(fault={"metadata": METADATA_FAULTS[name]})
    with RunningServer(dsn, provider.environ) as server, server.client() as client:
        expect(client.get(START), 502, failures.MISCONFIGURED)
    (wrong,) = METADATA_FAULTS[name]
    assert wrong.replace("_", " ") in warnings.text.replace("_", " ")


def test_the_provider_is_asked_again_when_it_is_back(
    dsn: str, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "PAUSE", 3600.0)
    provider.order(fault={"status": {"path": METADATA, "code": 503}})
    with RunningServer(dsn, provider.environ) as server, server.client() as client:
        for _ in range(5):
            expect(client.get(START), 502, failures.UNREACHABLE)
        assert provider.count(METADATA) == 1  # not once for each of them
        provider.reset()
        server.app.state.santa.provider._failed = None  # as some seconds later
        assert client.get(START).status_code == httpx.codes.SEE_OTHER
        provider.order(fault={"status": {"path": METADATA, "code": 503}})
        server.clock.advance(hours=2)
        assert client.get(START).status_code == httpx.codes.SEE_OTHER
        server.app.state.santa.provider._failed = None
        server.clock.advance(hours=24)
        expect(client.get(START), 502, failures.UNREACHABLE)


TOKEN_FAULTS = [
    ({"code": 401, "body": {"error": "invalid_client"}}, 502, failures.SECRET, "CLIENT_SECRET has expired"),
    (
        {"code": 401, "body": {"error": "invalid_client", "error_description": "AADSTS7000222: expired"}},
        502,
        failures.SECRET,
        "CLIENT_SECRET has expired",
    ),
    ({"code": 400, "body": {"error": "invalid_grant"}}, 401, failures.LATE, "invalid_grant"),
    ({"code": 500, "body": {}}, 502, failures.UNREACHABLE, "status 500"),
    ({"code": 400, "body": {}}, 401, failures.REFUSED, "status 400"),
    ({"code": 400, "body": {"error": 7, "error_description": ["x"]}}, 401, failures.REFUSED, "status 400"),
    ({"code": 200, "body": "text"}, 401, failures.REFUSED, "not a JSON object"),
    ({"code": 200, "body": {}}, 401, failures.TOKEN, "there is no token"),
]


@pytest.mark.parametrize(("fault", "status", "code", "logged"), TOKEN_FAULTS)
def test_a_code_that_cannot_be_redeemed_signs_nobody_in(
    shared: Shared,
    warnings: pytest.LogCaptureFixture,
    fault: dict[str, Any],
    status: int,
    code: str,
    logged: str,
) -> None:
    callback = shared.browser.consent(shared.browser.begin())
    sessions = shared.sessions()
    shared.provider.order(fault={"status": {"path": "/token", **fault}})
    expect(shared.browser.back(callback), status, code)
    assert shared.sessions() == sessions
    assert logged in warnings.text
    (entry,) = fetch(shared.server.dsn, "select after from audit_log order by id desc limit 1")
    assert logged in entry["after"]


@pytest.mark.parametrize("path", ["/token", "/jwks"])
def test_a_provider_that_hangs_in_the_middle_signs_nobody_in(
    server: RunningServer, provider: Provider, browser: Browser, path: str
) -> None:
    callback = browser.consent(browser.begin())
    provider.order(fault={"slow": {"path": path, "seconds": 3}})
    set_deadline(server, 0.4)
    expect(browser.back(callback), 502, failures.UNREACHABLE)
    assert nobody(server)
    provider.reset()
    set_deadline(server, 10)
    assert browser.sign_in().status_code == httpx.codes.SEE_OTHER


@pytest.mark.parametrize("minutes", [-10, 10])
def test_clocks_that_differ_are_named(
    server: RunningServer,
    provider: Provider,
    browser: Browser,
    warnings: pytest.LogCaptureFixture,
    minutes: int,
) -> None:
    callback = browser.consent(browser.begin())
    times = {"iat": f"{minutes * 60:+}", "exp": f"{minutes * 60 + 300:+}"}
    provider.claims(**times)
    expect(browser.back(callback), 401, failures.CLOCK)
    assert "by this server's clock" in warnings.text
    assert nobody(server)


def test_keys_are_fetched_again_when_they_change_and_forgotten_when_they_are_withdrawn(
    server: RunningServer, provider: Provider, open_browser: OpenBrowser
) -> None:
    def signs_in() -> int:
        now = server.clock.ahead.total_seconds()
        provider.claims(iat=f"+{now:.0f}", exp=f"+{now + 300:.0f}")
        return open_browser().sign_in().status_code

    assert signs_in() == 303
    assert (signs_in(), provider.count("/jwks")) == (303, 1)
    provider.order(rotate="add")
    assert (signs_in(), provider.count("/jwks")) == (303, 1)
    provider.order(rotate="add")
    assert (signs_in(), provider.count("/jwks")) == (401, 0)
    server.clock.advance(minutes=5, seconds=1)
    assert (signs_in(), provider.count("/jwks")) == (303, 1)
    server.clock.advance(minutes=61)
    assert (signs_in(), provider.count("/jwks")) == (303, 1)
    provider.order(fault={"status": {"path": "/jwks", "code": 500}})
    server.clock.advance(hours=2)
    fault = {"status": {"path": "/jwks", "code": 500}}
    ahead = server.clock.ahead.total_seconds()
    late = {"claims": {"iat": f"+{ahead:.0f}", "exp": f"+{ahead + 300:.0f}"}}
    provider.order(fault={**fault, **late})
    assert open_browser().sign_in().status_code == 303  # with the keys that are known
    server.clock.advance(hours=23)
    assert open_browser().sign_in().status_code == 502  # they are too old


def test_a_withdrawn_key_is_of_no_use_after_an_hour(
    server: RunningServer, provider: Provider, open_browser: OpenBrowser
) -> None:
    assert open_browser().sign_in().status_code == 303
    header = {"kid": _kid(provider)}
    provider.order(rotate="withdraw")
    server.clock.advance(minutes=61)
    provider.order(fault={"token": {"header": header}, "claims": {"iat": "+3660", "exp": "+4000"}})
    assert open_browser().sign_in().status_code == 401


def _kid(provider: Provider) -> str:
    keys: list[dict[str, str]] = httpx.get(f"{provider.issuer}/jwks", verify=False).json()["keys"]  # noqa: S501
    return keys[-1]["kid"]
