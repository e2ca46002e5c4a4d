"""Signing in through a real provider, and what comes of it."""

from typing import Any

import httpx
import pytest

from tests.conftest import ADMIN, add_user
from tests.oidc.conftest import OpenBrowser, Shared
from tests.support.postgres import execute, fetch, value
from tests.support.provider import CALLBACK, CLIENT_ID, PUBLIC_URL, START, Browser, Provider
from tests.support.server import RunningServer

ME = "/api/v1/auth/me"
LENA = {"name": "Lena Park", "preferred_username": "lena@example.com", "email": "lena@example.com"}
ACTIONS = "select action from audit_log order by id"


def test_a_new_person_gets_an_account_without_a_role(
    provider: Provider, server: RunningServer, browser: Browser
) -> None:
    provider.order(people={"lena": LENA})
    response = browser.sign_in("/rules?q=1")
    assert (response.status_code, response.headers["location"]) == (303, "/rules?q=1")
    me = browser.server.get(ME).json()
    assert (me["username"], me["display_name"]) == ("lena@example.com", "Lena Park")
    assert (me["role"], me["roles"], me["permissions"], me["notice"]) == (None, [], [], None)
    (person,) = fetch(server.dsn, "select authority, subject from user_identity")
    assert person == {"authority": provider.issuer, "subject": "lena"}
    assert value(server.dsn, "select password_hash from app_user where username like 'lena%'") is None
    entries = fetch(
        server.dsn, "select action, actor_kind, actor_name, after::text from audit_log order by id"
    )
    created, login = entries[-2:]
    assert (created["action"], created["actor_kind"], created["actor_name"]) == (
        "user_created",
        "provider",
        provider.issuer,
    )
    assert (login["action"], login["actor_kind"], login["actor_name"]) == (
        "login",
        "user",
        "lena@example.com",
    )
    assert provider.issuer in login["after"]


def test_the_request_to_the_provider_is_a_code_flow_with_pkce(browser: Browser, provider: Provider) -> None:
    address = httpx.URL(browser.begin())
    sent = dict(address.params)
    assert str(address).startswith(f"{provider.issuer}/auth?")
    assert {name: sent[name] for name in ("response_type", "client_id", "redirect_uri")} == {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": PUBLIC_URL + CALLBACK,
    }
    assert (sent["code_challenge_method"], sent["response_mode"]) == ("S256", "query")
    assert sent["scope"].split() == ["openid", "profile", "email"]
    others = [httpx.URL(browser.begin()).params for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        values = {sent[name], *(other[name] for other in others)}
        assert len(values) == 3
        assert min(map(len, values)) >= 43


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/machines/ABC?tab=policy#top", "/machines/ABC?tab=policy#top"),
        ("//evil.test/", "/"),
        ("/\\evil.test", "/"),
        ("/\t/evil.test", "/"),
        ("https://evil.test/", "/"),
        ("https:evil.test", "/"),
        ("javascript:alert(1)", "/"),
        ("\\\\evil.test", "/"),
        ("evil.test", "/"),
        ("/api/v1/rules/export", "/"),
        ("/" + "a" * 2000, "/"),
        ("", "/"),
    ],
)
def test_only_a_page_of_the_console_comes_after_a_sign_in(shared: Shared, wanted: str, path: str) -> None:
    assert shared.browser.sign_in(wanted).headers["location"] == path


def test_cookies_are_as_strict_as_the_address_allows(dsn: str, provider: Provider) -> None:
    strict = {**provider.environ, "PUBLIC_URL": "https://santa.example.com"}
    with RunningServer(dsn, strict) as server, server.client() as client:
        cookie = client.get(START).headers["set-cookie"]
    name, *flags = [part.strip() for part in cookie.split(";")]
    assert name.startswith("__Host-santa_signin=")
    assert {flag.lower() for flag in flags} == {
        "httponly",
        "max-age=600",
        "path=/",
        "samesite=lax",
        "secure",
    }


@pytest.mark.parametrize(
    ("told", "roles"),
    [
        (["viewer"], ["viewer"]),
        (["operator", "auditor"], ["auditor", "operator"]),
        ("admin", ["admin"]),
        (["Admin", "superuser", "ADMIN ", 5, None, ["admin"]], []),
        ({"admin": True}, []),
        (None, []),
    ],
)
def test_app_roles_become_roles(shared: Shared, told: object, roles: list[str]) -> None:
    shared.provider.order(people={"lena": LENA | {"roles": told}})
    shared.browser.sign_in()
    me = shared.browser.server.get(ME).json()
    assert sorted(grant["role"] for grant in me["roles"]) == roles


def test_roles_follow_the_provider_at_each_sign_in_and_those_given_here_stay(
    provider: Provider, server: RunningServer, open_browser: OpenBrowser
) -> None:
    def roles(*told: str) -> list[str]:
        provider.order(people={"lena": LENA | {"roles": list(told)}})
        browser = open_browser()
        browser.sign_in()
        return sorted(grant["role"] for grant in browser.server.get(ME).json()["roles"])

    assert roles("operator") == ["operator"]
    execute(
        server.dsn,
        "insert into binding (user_id, role, created_at) select id, 'auditor', now() from app_user "
        "where username like 'lena%'",
    )
    assert roles("viewer") == ["auditor", "viewer"]
    assert roles("viewer", "auditor") == ["auditor", "viewer"]
    assert roles() == ["auditor"]
    assert value(server.dsn, "select count(*) from app_user") == 2
    changes = fetch(server.dsn, "select actor_kind from audit_log where action = 'user_changed'")
    assert [row["actor_kind"] for row in changes] == ["provider"] * 2


def test_a_role_is_lost_at_once_in_sessions_that_there_are(
    provider: Provider, open_browser: OpenBrowser
) -> None:
    provider.order(people={"lena": LENA | {"roles": ["admin"]}})
    early, late = open_browser(), open_browser()
    early.sign_in()
    assert early.server.get("/api/v1/rules").status_code == httpx.codes.OK
    provider.order(people={"lena": LENA})
    late.sign_in()
    assert early.server.get("/api/v1/rules").status_code == httpx.codes.FORBIDDEN


GROUPS = {"OIDC_GROUP_ROLES": "cn=admins,dc=example=admin; staff=viewer; staff=auditor"}


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"groups": ["staff", "others"]}, ["auditor", "viewer"]),
        ({"groups": ["cn=admins,dc=example"]}, ["admin"]),
        ({"groups": ["Staff", "admin", 7]}, []),
        ({"groups": ["cn=admins,dc=example"], "roles": ["viewer"]}, ["viewer"]),
        ({"groups": "staff"}, []),
        ({"groups": [f"g{number}" for number in range(5000)] + ["staff"]}, ["auditor", "viewer"]),
    ],
)
def test_groups_give_roles_when_app_roles_do_not(
    dsn: str, provider: Provider, open_browser: OpenBrowser, claims: dict[str, Any], roles: list[str]
) -> None:
    provider.order(people={"lena": LENA | claims})
    with RunningServer(dsn, provider.environ | GROUPS) as server:
        browser = open_browser(other=server)
        browser.sign_in()
        me = browser.server.get(ME).json()
        assert sorted(grant["role"] for grant in me["roles"]) == roles


def test_groups_that_are_left_out_are_never_asked_for_where_the_token_says(
    dsn: str, provider: Provider, open_browser: OpenBrowser
) -> None:
    source = {"endpoint": f"{provider.origin}/v1.0/stolen"}
    people = LENA | {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": source}}
    provider.order(people={"lena": people})
    with RunningServer(dsn, provider.environ | GROUPS) as server:
        browser = open_browser(other=server)
        assert browser.sign_in().status_code == 303
        me = browser.server.get(ME).json()
    assert (me["roles"], me["notice"]) == ([], "groups")
    assert [path for path in provider.calls() if path.startswith("/v1.0")] == []


def test_the_name_or_address_of_someone_else_is_worth_nothing(
    provider: Provider, server: RunningServer, browser: Browser
) -> None:
    add_user(server.dsn, "lena@example.com", "admin")
    claims = {"preferred_username": ADMIN[0], "email": "lena@example.com", "email_verified": True}
    provider.order(people={"lena": claims})
    browser.sign_in()
    me = browser.server.get(ME).json()
    assert (me["username"], me["role"]) == ("admin (2)", None)
    assert value(server.dsn, "select count(*) from app_user") == 3


def test_two_people_of_one_name_stay_two(provider: Provider, open_browser: OpenBrowser) -> None:
    provider.order(people={"lena": LENA | {"roles": ["admin"]}, "other": LENA})
    names = []
    for login in ("lena", "other", "lena", "other"):
        browser = open_browser(login)
        browser.sign_in()
        me = browser.server.get(ME).json()
        names.append((me["username"], me["role"]))
    assert names == [("lena@example.com", "admin"), ("lena@example.com (2)", None)] * 2


def test_a_person_with_another_name_is_the_same_person(provider: Provider, open_browser: OpenBrowser) -> None:
    ids = []
    for name in ("lena@example.com", "lena.kim@example.com"):
        provider.order(people={"lena": {"preferred_username": name, "name": name.title()}})
        browser = open_browser()
        browser.sign_in()
        me = browser.server.get(ME).json()
        ids.append(me["id"])
        assert (me["username"], me["display_name"]) == (name, name.title())
    assert len(set(ids)) == 1


@pytest.mark.parametrize(
    ("claims", "username", "shown"),
    [
        ({}, "lena", "lena"),
        ({"name": "Ad\u202emin\u200b\n"}, "admin (2)", "Admin"),
        ({"preferred_username": " İREM\x00 ", "name": 7}, "i\u0307rem", "İREM"),
        ({"preferred_username": "x" * 5000}, "x" * 200, "x" * 200),
        ({"email": "a@b.c"}, "a@b.c", "a@b.c"),
    ],
)
def test_odd_names_can_be_stored_and_shown(
    provider: Provider, browser: Browser, claims: dict[str, Any], username: str, shown: str
) -> None:
    provider.order(people={"lena": claims})
    assert browser.sign_in().status_code == 303
    me = browser.server.get(ME).json()
    assert me["display_name"] == shown
    assert me["username"] in {username, "irem", "i̇rem"} if "rem" in username else me["username"] == username


def test_a_disabled_account_stays_out(server: RunningServer, browser: Browser) -> None:
    browser.sign_in()
    execute(server.dsn, "update app_user set disabled_at = now() where username = 'lena'")
    assert browser.server.get(ME).status_code == httpx.codes.UNAUTHORIZED
    response = browser.sign_in()
    assert response.status_code == httpx.codes.UNAUTHORIZED
    assert "disabled" in response.json()["detail"]
    assert browser.server.get(ME).status_code == httpx.codes.UNAUTHORIZED
    (entry,) = fetch(server.dsn, "select after from audit_log where action = 'login_refused'")
    assert '"lena"' in entry["after"]


def test_a_planted_session_id_is_not_adopted(server: RunningServer, browser: Browser) -> None:
    planted = "p" * 43
    browser.server.cookies.set("santa_session", planted, domain="127.0.0.1", path="/")
    response = browser.sign_in()
    token = response.cookies["santa_session"]
    assert token != planted
    assert len(token) >= 43
    with server.client() as other:
        stolen = other.get(ME, headers={"Cookie": f"santa_session={planted}"})
    assert stolen.status_code == httpx.codes.UNAUTHORIZED


def test_several_tabs_may_sign_in_at_the_same_time(browser: Browser) -> None:
    addresses = [browser.begin(f"/tags?q={number}") for number in range(3)]
    callbacks = [browser.consent(address) for address in addresses]
    pages = [browser.back(callback).headers["location"] for callback in reversed(callbacks)]
    assert pages == ["/tags?q=2", "/tags?q=1", "/tags?q=0"]


def test_a_password_cannot_be_given_to_a_person_of_the_provider(
    provider: Provider, browser: Browser, admin: httpx.Client
) -> None:
    provider.order(people={"lena": {"roles": ["viewer"]}})
    browser.sign_in()
    number = browser.server.get(ME).json()["id"]
    for body, word in (
        ({"password": "a long password"}, "has no password"),
        ({"roles": [{"role": "operator"}]}, "gives the role viewer"),
    ):
        refused = admin.patch(f"/api/v1/users/{number}", json=body, headers={"If-Match": "*"})
        assert (refused.status_code, word in refused.text) == (httpx.codes.CONFLICT, True)
    both = {"roles": [{"role": "operator"}, {"role": "viewer"}]}
    assert admin.patch(f"/api/v1/users/{number}", json=both, headers={"If-Match": "*"}).is_success
    login = {"username": "lena", "password": "a long password"}
    assert browser.server.post("/api/v1/auth/login", json=login).status_code == httpx.codes.UNAUTHORIZED


def test_an_administrator_with_a_password_always_stays(
    provider: Provider, server: RunningServer, browser: Browser
) -> None:
    provider.order(people={"lena": {"roles": ["admin"]}})
    browser.sign_in()
    number = value(server.dsn, "select id from app_user where username = 'admin'")
    orders: tuple[dict[str, Any], ...] = ({"disabled": True}, {"roles": []})
    for body in orders:
        path = f"/api/v1/users/{number}"
        refused = browser.server.patch(path, json=body, headers={"If-Match": "*"})
        assert refused.status_code == httpx.codes.CONFLICT
    provider.order(people={"lena": {"roles": []}})
    assert browser.sign_in().status_code == 303
    with server.client() as local:
        login = {"username": ADMIN[0], "password": ADMIN[1]}
        assert local.post("/api/v1/auth/login", json=login).json()["role"] == "admin"


def test_the_login_page_learns_what_is_configured(
    server: RunningServer, dsn: str, provider: Provider
) -> None:
    with server.client() as client:
        methods = client.get("/api/v1/auth/methods").json()
    assert methods == {
        "local": True,
        "passkeys": False,
        "provider": {"name": "127.0.0.1", "start": START},
        "failure": None,
    }
    named = {**provider.environ, "OIDC_NAME": "Example SSO"}
    with RunningServer(dsn, named) as other, other.client() as client:
        assert client.get("/api/v1/auth/methods").json()["provider"]["name"] == "Example SSO"
    with RunningServer(dsn) as without, without.client() as client:
        assert client.get("/api/v1/auth/methods").json()["provider"] is None
        for path in (START, CALLBACK):
            assert client.get(path).status_code == httpx.codes.NOT_FOUND
        assert client.post("/api/v1/auth/oidc/backchannel").status_code == httpx.codes.NOT_FOUND
        assert client.get("/api/v1/auth/oidc/frontchannel?sid=x").status_code == httpx.codes.OK
