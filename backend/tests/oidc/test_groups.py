"""Groups and app roles of the provider, as the console maps them to roles."""

import logging

import httpx
import pytest

from tests.conftest import ADMIN
from tests.oidc.conftest import OpenBrowser
from tests.support.postgres import execute, value
from tests.support.provider import Browser, Provider
from tests.support.server import RunningServer
from tests.users.people import GROUPS, ROLES, USERS, made

ME = "/api/v1/auth/me"
LENA = {"name": "Lena Park", "preferred_username": "lena@example.com"}


def held(browser: Browser) -> list[tuple[str, str | None, str | None]]:
    """Return the roles of a browser's user: name, tag, group."""
    return [(one["role"], one["tag"], one["group"]) for one in browser.server.get(ME).json()["roles"]]


def test_a_group_of_the_token_has_roles_limited_to_tags(
    provider: Provider, admin: httpx.Client, open_browser: OpenBrowser
) -> None:
    made(admin, "/api/v1/tags", name="lab")
    made(admin, ROLES, name="Desk", permissions=["rule:read"])
    roles = [{"role": "operator", "tag": "lab"}, {"role": "Desk"}]
    group = made(admin, GROUPS, source="claim", name="Lab people", external_id="lab-1", roles=roles)["id"]
    provider.order(people={"lena": LENA | {"groups": ["other", "lab-1", "lab-1", 7, "x" * 300, "a\0b"]}})
    early, late = open_browser(), open_browser()
    early.sign_in()
    assert held(early) == [("operator", "lab", "Lab people"), ("Desk", None, "Lab people")]
    members = admin.get(f"{GROUPS}/{group}/members").json()["items"]
    assert [one["username"] for one in members] == ["lena@example.com"]
    account = admin.get(f"{USERS}?q=lena").json()["items"][0]
    assert (account["source"], account["groups"]) == ("provider", ["Lab people"])
    assert account["signed_in_at"] is not None
    provider.order(people={"lena": LENA | {"groups": ["other"]}})
    late.sign_in()
    assert held(late) == []
    assert early.server.get("/api/v1/rules").status_code == httpx.codes.FORBIDDEN, "also in other sessions"


def test_a_group_that_nobody_named_is_not_stored(
    provider: Provider, server: RunningServer, browser: Browser
) -> None:
    many = {"groups": [f"g{number}" for number in range(5000)], "roles": ["Unknown.Role"]}
    provider.order(people={"lena": LENA | many})
    assert browser.sign_in().status_code == 303
    assert value(server.dsn, "select count(*) from user_group") == 0


def test_an_app_role_is_mapped_and_does_not_replace_groups(
    provider: Provider, admin: httpx.Client, browser: Browser
) -> None:
    for source, external in (("app_role", "Santa.Auditor"), ("claim", "staff")):
        role = {"app_role": "auditor", "claim": "viewer"}[source]
        made(admin, GROUPS, source=source, name=source, external_id=external, roles=[{"role": role}])
    provider.order(people={"lena": LENA | {"roles": ["Santa.Auditor", "approver"], "groups": ["staff"]}})
    browser.sign_in()
    assert sorted(held(browser), key=str) == [
        ("approver", None, None),
        ("auditor", None, "app_role"),
        ("viewer", None, "claim"),
    ]


def test_a_custom_role_or_group_is_not_given_by_its_name(
    provider: Provider, admin: httpx.Client, browser: Browser
) -> None:
    """Names are chosen here; a provider that has the same ones says nothing by them."""
    made(admin, ROLES, name="Desk", permissions=["rule:read"])
    made(admin, GROUPS, name="Admins", roles=[{"role": "admin"}])
    made(admin, GROUPS, source="claim", name="staff", external_id="4711", roles=[{"role": "admin"}])
    provider.order(people={"lena": LENA | {"roles": ["Desk", "Admins"], "groups": ["Admins", "staff"]}})
    browser.sign_in()
    assert held(browser) == []


@pytest.mark.parametrize("through", ["role", "group"])
def test_the_last_administrator_keeps_the_role_when_the_provider_takes_it(
    provider: Provider,
    server: RunningServer,
    admin: httpx.Client,
    open_browser: OpenBrowser,
    caplog: pytest.LogCaptureFixture,
    through: str,
) -> None:
    group = made(admin, GROUPS, source="claim", name="a", external_id="admins", roles=[{"role": "admin"}])
    told = {"role": {"roles": ["admin"]}, "group": {"groups": ["admins"]}}[through]
    provider.order(people={"lena": LENA | told})
    open_browser().sign_in()
    provider.order(people={"lena": LENA})
    another = open_browser()
    another.sign_in()
    assert held(another) == [], "there is another administrator"
    provider.order(people={"lena": LENA | told})
    open_browser().sign_in()
    execute(server.dsn, "delete from app_user where username = $1", ADMIN[0])
    provider.order(people={"lena": LENA})
    last = open_browser()
    with caplog.at_level(logging.WARNING, "santaserver.oidc.accounts"):
        last.sign_in()
    assert held(last) == [("admin", None, None)]
    assert "keeps it as the last administrator" in caplog.text
    made(last.server, USERS, username="root", password="a long enough password", roles=[{"role": "admin"}])
    open_browser().sign_in()
    assert held(last) == [], "there is another one now"
    assert group["members"] == 0
