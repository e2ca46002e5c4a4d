"""The way to the provider and back: once, in the same browser, within ten minutes."""

import asyncio

import httpx
import pytest

from santaserver.oidc import attempt_repository
from tests.oidc.conftest import OpenBrowser, Shared
from tests.support.postgres import execute, fetch, value
from tests.support.provider import CALLBACK, START, Browser
from tests.support.server import RunningServer

ME = "/api/v1/auth/me"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def refused(shared: Shared, response: httpx.Response, status: int = 400) -> None:
    """Expect a refusal that never reached the provider's token endpoint."""
    assert response.status_code == status, response.text
    assert shared.provider.count("/token") == 0


def test_another_browser_cannot_finish_a_sign_in(shared: Shared) -> None:
    callback = shared.browser.consent(shared.browser.begin())
    shared.provider.calls()
    for other in (shared.server.client(), shared.server.client(Cookie=f"santa_signin={'A' * 43}")):
        with other:
            refused(shared, other.get(callback))
    assert shared.browser.back(callback).status_code == httpx.codes.SEE_OTHER


def test_a_sign_in_is_finished_once(shared: Shared) -> None:
    callback = shared.browser.consent(shared.browser.begin())
    assert shared.browser.back(callback).status_code == httpx.codes.SEE_OTHER
    shared.provider.calls()
    refused(shared, shared.browser.back(callback))


def test_a_sign_in_takes_ten_minutes_at_most(shared: Shared) -> None:
    early, late = (shared.browser.consent(shared.browser.begin()) for _ in range(2))
    shared.server.clock.advance(minutes=9)
    shared.provider.order(fault={"claims": {"iat": "+540", "exp": "+1000"}})
    assert shared.browser.back(early).status_code == httpx.codes.SEE_OTHER
    shared.server.clock.advance(minutes=1, seconds=1)
    shared.provider.calls()
    refused(shared, shared.browser.back(late))


@pytest.mark.parametrize(
    "query", ["", "?state=", "?code=C", "?code=C&state=made-up", "?state=%00%ff&code=%00"]
)
def test_a_callback_out_of_the_blue_is_refused(shared: Shared, query: str) -> None:
    shared.browser.begin()
    shared.provider.calls()
    refused(shared, shared.browser.back(CALLBACK + query))


@pytest.mark.parametrize("issuer", [None, "", "https://evil.test", "{issuer}/"])
def test_a_response_of_another_provider_is_refused(shared: Shared, issuer: str | None) -> None:
    callback = httpx.URL(shared.browser.consent(shared.browser.begin()))
    shared.provider.calls()
    told = callback.params.remove("iss")
    if issuer is not None:
        told = told.set("iss", issuer.replace("{issuer}", shared.provider.issuer))
    refused(shared, shared.browser.back(str(callback.copy_with(params=told))), 401)


def test_parameters_that_are_not_known_do_no_harm(shared: Shared) -> None:
    callback = shared.browser.consent(shared.browser.begin())
    more = f"{callback}&session_state=abc&client_info=eyJ9&unknown=1"
    assert shared.browser.back(more).status_code == httpx.codes.SEE_OTHER


ERRORS = [
    ("access_denied", "", "did not let you in"),
    ("access_denied", "AADSTS50105: The signed in user is not assigned to a role.", "(AADSTS50105)"),
    ("access_denied", "AADSTS65004: User declined to consent", "did not let you in"),
    ("interaction_required", "AADSTS50076: you must use multi-factor", "asks for more"),
    ("invalid_request", "AADSTS50011: The redirect URI", "does not know the address"),
    ("invalid_request", "AADSTS90002999: new", "(AADSTS90002999)"),
    ("temporarily_unavailable", "", "does not answer"),
    ("<script>alert(1)</script>", "<img src=x>", "refused the sign-in"),
    ("x" * 5000, "y" * 5000, "refused the sign-in"),
    ("a\0b", "c\0d\ufffe\U0001f600", "refused the sign-in"),
]


@pytest.mark.parametrize(("error", "description", "words"), ERRORS)
def test_an_error_of_the_provider_is_explained(
    shared: Shared, error: str, description: str, words: str
) -> None:
    callback = httpx.URL(shared.browser.consent(shared.browser.begin()))
    told = callback.params.remove("code").merge({"error": error, "error_description": description})
    shared.provider.calls()
    response = shared.browser.server.get(str(callback.copy_with(params=told)), headers=HTML)
    assert response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.BAD_GATEWAY}
    assert shared.provider.count("/token") == 0
    assert words in response.text
    assert "<script" not in response.text
    assert "<img" not in response.text
    login = response.headers["refresh"].removeprefix("0; url=")
    assert login.startswith("/login?failure=")
    failure = httpx.URL(login).params["failure"]
    explained = shared.browser.server.get("/api/v1/auth/methods", params={"failure": failure}).json()
    assert words in explained["failure"]["message"]
    assert explained["failure"]["hint"]
    (entry,) = fetch(shared.server.dsn, "select after from audit_log order by id desc limit 1")
    assert failure in entry["after"]


@pytest.mark.parametrize(
    "failure", ["nothing", "state.1", "token.123456789", "<b>", "A" * 60, "denied.50105x"]
)
def test_a_made_up_failure_says_nothing(shared: Shared, failure: str) -> None:
    methods = shared.browser.server.get("/api/v1/auth/methods", params={"failure": failure}).json()
    assert methods["failure"] is None


def test_the_page_of_a_failure_runs_nothing(shared: Shared) -> None:
    response = shared.browser.server.get(CALLBACK, headers=HTML)
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert response.headers["refresh"] == "0; url=/login?failure=state"


def test_strangers_fill_neither_the_table_nor_the_log(
    server: RunningServer, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_repository, "MAX_OF_NETWORK", 5)
    with server.client(**{"X-Real-IP": "203.0.113.9"}) as stranger:
        codes = [stranger.get(START).status_code for _ in range(8)]
        assert codes == [303] * 5 + [429] * 3
        for _ in range(20):
            assert stranger.get(f"{CALLBACK}?code=C&state=S").status_code == httpx.codes.BAD_REQUEST
    assert value(server.dsn, "select count(*) from sign_in") == 5
    assert value(server.dsn, "select count(*) from audit_log where action = 'login_refused'") == 1
    assert browser.sign_in().status_code == httpx.codes.SEE_OTHER
    server.clock.advance(minutes=11)
    with server.client(**{"X-Real-IP": "203.0.113.9"}) as stranger:
        assert stranger.get(START).status_code == httpx.codes.SEE_OTHER
    assert value(server.dsn, "select count(*) from sign_in") == 1


def test_the_database_holds_no_secret_that_opens_anything(shared: Shared) -> None:
    address = httpx.URL(shared.browser.begin())
    cookie = shared.browser.server.cookies["santa_signin"]
    stored = fetch(shared.server.dsn, "select s::text as row from sign_in s")
    assert stored
    for secret in (address.params["state"], cookie):
        assert not any(secret in row["row"] for row in stored)


def test_many_first_sign_ins_of_one_person_make_one_account(
    server: RunningServer, open_browser: OpenBrowser
) -> None:
    browser = open_browser()
    callbacks = [browser.consent(browser.begin()) for _ in range(6)]
    cookies = dict(browser.server.cookies)

    async def together() -> list[int]:
        async with httpx.AsyncClient(base_url=server.url, cookies=cookies, timeout=30) as client:
            responses = await asyncio.gather(*(client.get(callback) for callback in callbacks))
            return [response.status_code for response in responses]

    assert asyncio.run(together()) == [303] * 6
    assert value(server.dsn, "select count(*) from app_user") == 2
    assert value(server.dsn, "select count(*) from user_session") == 6


def test_a_database_that_fails_signs_nobody_in(server: RunningServer, browser: Browser) -> None:
    callback = browser.consent(browser.begin())
    execute(server.dsn, "alter table user_session rename to user_session_away")
    assert browser.back(callback).status_code >= httpx.codes.INTERNAL_SERVER_ERROR
    execute(server.dsn, "alter table user_session_away rename to user_session")
    assert value(server.dsn, "select count(*) from app_user") == 1
    assert value(server.dsn, "select count(*) from user_identity") == 0
