"""Logouts: by the person, by the provider from server to server, and by the provider in a frame."""

from typing import Any

import httpx
import pytest

from tests.oidc.conftest import OpenBrowser, Shared
from tests.support.postgres import fetch, value
from tests.support.provider import CLIENT_ID, PUBLIC_URL, Browser, Provider
from tests.support.server import RunningServer

ME = "/api/v1/auth/me"
BACK = "/api/v1/auth/oidc/backchannel"
FRONT = "/api/v1/auth/oidc/frontchannel"
EVENT = "http://schemas.openid.net/event/backchannel-logout"


def order(client: httpx.Client, token: str) -> httpx.Response:
    """Send a logout token."""
    return client.post(BACK, data={"logout_token": token})


def is_in(browser: Browser) -> bool:
    """Tell whether someone is logged in."""
    return browser.server.get(ME).status_code == httpx.codes.OK


def sid_of(server: RunningServer) -> str:
    """Return the provider's name of the newest session."""
    sid: str = value(server.dsn, "select provider_sid from user_session order by id desc limit 1")
    return sid


def test_a_logout_goes_on_at_the_provider_which_tells_the_server(
    provider: Provider, browser: Browser
) -> None:
    browser.sign_in()
    response = browser.server.post("/api/v1/auth/logout")
    assert response.status_code == httpx.codes.OK
    address = httpx.URL(response.json()["continue_at"])
    assert str(address).startswith(f"{provider.issuer}/session/end?")
    assert address.params["client_id"] == CLIENT_ID
    assert address.params["post_logout_redirect_uri"] == f"{PUBLIC_URL}/login"
    assert "id_token_hint" not in address.params
    assert not is_in(browser)
    page = browser.provider.get(str(address))
    fields = dict(line.split('" value="') for line in _inputs(page.text))
    done = browser.provider.post(f"{provider.issuer}/session/end/confirm", data={**fields, "logout": "yes"})
    assert done.headers["location"].startswith(f"{PUBLIC_URL}/login")
    assert provider.order(calls=True)["delivered"] == [200]  # nothing was left to end, and that is no error


def _inputs(text: str) -> list[str]:
    return [part.split('"/>')[0].split('">')[0] for part in text.split('name="')[1:] if '" value="' in part]


def test_a_local_account_logs_out_here_only(admin: httpx.Client) -> None:
    response = admin.post("/api/v1/auth/logout")
    assert (response.status_code, response.content) == (httpx.codes.NO_CONTENT, b"")


def test_a_logout_works_while_the_provider_is_down(
    server: RunningServer, provider: Provider, browser: Browser
) -> None:
    browser.sign_in()
    server.clock.advance(hours=25)  # what was known of the provider is too old
    provider.order(fault={"status": {"path": "/openid-configuration", "code": 500}})
    assert browser.server.post("/api/v1/auth/logout").status_code == httpx.codes.NO_CONTENT
    assert not is_in(browser)


def test_the_provider_ends_one_session_or_all_of_a_person(
    server: RunningServer, provider: Provider, open_browser: OpenBrowser
) -> None:
    first, second, other = open_browser(), open_browser(), open_browser("other")
    first.sign_in()
    sid = sid_of(server)
    second.sign_in()
    other.sign_in()
    with server.client() as stranger:
        response = order(stranger, provider.logout_token(sid=sid, sub="lena"))
        assert (response.status_code, response.content) == (httpx.codes.OK, b"")
        assert response.headers["cache-control"] == "no-store"
        assert [is_in(one) for one in (first, second, other)] == [False, True, True]
        assert order(stranger, provider.logout_token(sid=sid)).status_code == httpx.codes.OK
        assert order(stranger, provider.logout_token(sub="lena")).status_code == httpx.codes.OK
        assert [is_in(one) for one in (first, second, other)] == [False, False, True]
    entries = fetch(
        server.dsn,
        "select actor_kind, actor_name, before::text from audit_log where action = 'sessions_ended'",
    )
    assert [(row["actor_kind"], row["actor_name"]) for row in entries] == [("provider", provider.issuer)] * 2
    assert all('"lena"' in row["before"] for row in entries)


BAD: dict[str, dict[str, Any]] = {
    "a nonce": {"nonce": "n"},
    "an empty nonce": {"nonce": ""},
    "no events": {"events": None},
    "an empty object of events": {"events": {}},
    "events as a list": {"events": [EVENT]},
    "an event that is no object": {"events": {EVENT: True}},
    "another audience": {"aud": "another-client"},
    "another audience, ours as azp": {"aud": "another-client", "azp": CLIENT_ID},
    "another issuer": {"iss": "https://evil.test"},
    "no jti": {"jti": None},
    "an empty jti": {"jti": ""},
    "no person and no session": {"sub": None},
    "an empty person": {"sub": ""},
    "a session that is no text": {"sid": 7},
    "expired": {"exp": "-61"},
    "valid for a day": {"exp": "+86400"},
    "of the future": {"iat": "+90"},
    "of yesterday, without an expiry": {"iat": "-86400", "exp": None},
    "no time": {"iat": None},
    "the type of an access token": {"header": {"typ": "at+jwt"}},
    "algorithm none": {"header": {"alg": "none"}},
    "an unknown key": {"header": {"kid": "nobody"}},
    "a critical extension": {"header": {"crit": ["x"], "x": 1}},
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_logout_token_ends_nothing(shared: Shared, name: str) -> None:
    if not is_in(shared.browser):
        shared.browser.sign_in()
    token = shared.provider.logout_token(**{"sub": "lena", **BAD[name]})
    with shared.server.client() as stranger:
        response = order(stranger, token)
    assert response.status_code == httpx.codes.BAD_REQUEST, response.text
    assert is_in(shared.browser)


def test_an_id_token_is_no_logout_token(shared: Shared) -> None:
    shared.browser.sign_in()
    claims = {"iss": shared.provider.issuer, "aud": CLIENT_ID, "iat": "+0", "exp": "+60", "sub": "lena"}
    token = shared.provider.order(token={"claims": {**claims, "jti": "j"}})["token"]
    with shared.server.client() as stranger:
        assert order(stranger, token).status_code == httpx.codes.BAD_REQUEST
    assert is_in(shared.browser)


def test_a_logout_token_works_once(shared: Shared) -> None:
    token = shared.provider.logout_token(sub="lena")
    with shared.server.client() as stranger:
        assert order(stranger, token).status_code == httpx.codes.OK
        shared.browser.sign_in()
        assert order(stranger, token).status_code == httpx.codes.BAD_REQUEST
    assert is_in(shared.browser)


@pytest.mark.parametrize(
    "body",
    [b"", b"logout_token", b"logout_token=", b"\xff\x00=%ff", b"a=1&" * 5000, b'{"logout_token": "x"}'],
)
def test_an_odd_body_is_refused(shared: Shared, body: bytes) -> None:
    with shared.server.client() as stranger:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert stranger.post(BACK, content=body, headers=headers).status_code == httpx.codes.BAD_REQUEST


def test_older_and_odd_but_valid_logout_tokens_are_accepted(shared: Shared) -> None:
    odd: tuple[dict[str, Any], ...] = (
        {"exp": None},
        {"header": {}},
        {"header": {"typ": None}},
        {"sid": "x\0y"},
        {"aud": [CLIENT_ID]},
    )
    for changes in odd:
        with shared.server.client() as stranger:
            token = shared.provider.logout_token(**{"sub": "lena", **changes})
            assert order(stranger, token).status_code == httpx.codes.OK


def test_used_tokens_are_forgotten_when_they_have_expired(shared: Shared) -> None:
    with shared.server.client() as stranger:
        order(stranger, shared.provider.logout_token(sub="lena"))
        shared.server.clock.advance(hours=3)
        later = {"iat": "+10800", "exp": "+10900"}
        assert (
            order(stranger, shared.provider.logout_token(sub="lena", **later)).status_code == httpx.codes.OK
        )
    assert value(shared.server.dsn, "select count(*) from logout_token") == 1


def test_a_frame_of_the_provider_ends_its_session(
    server: RunningServer, provider: Provider, open_browser: OpenBrowser
) -> None:
    first, second = open_browser(), open_browser()
    first.sign_in()
    sid = sid_of(server)
    second.sign_in()
    with server.client() as frame:
        for params in (
            {},
            {"sid": ""},
            {"sid": "unknown"},
            {"sid": "a\0b"},
            {"sid": "x" * 3000},
            {"sid": sid, "iss": "https://evil.test"},
            {"iss": provider.issuer},
        ):
            assert frame.get(FRONT, params=params).status_code == httpx.codes.OK
        assert (is_in(first), is_in(second)) == (True, True)
        assert frame.get(FRONT, params={"sid": sid, "more": "1"}).status_code == httpx.codes.OK
        assert (is_in(first), is_in(second)) == (False, True)
        both = {"sid": sid_of(server), "iss": provider.issuer}
        for _ in range(2):
            assert frame.get(FRONT, params=both).status_code == httpx.codes.OK
        assert not is_in(second)
    ended = fetch(server.dsn, "select actor_kind from audit_log where action = 'sessions_ended'")
    assert [row["actor_kind"] for row in ended] == ["provider"] * 2
