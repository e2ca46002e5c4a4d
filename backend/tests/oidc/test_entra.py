"""Microsoft Entra ID: its people by tenant and object id, its groups by Microsoft Graph."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from santaserver.oidc import graph as graph_module
from tests.oidc.conftest import OpenBrowser
from tests.support.postgres import fetch
from tests.support.provider import Browser, Provider
from tests.support.server import RunningServer

TENANT = "6f1ce3a1-2d0b-4c55-9a37-0e6d6a2b7c11"
OTHER = "11111111-2222-3333-4444-555555555555"
OID = "0c0ffee0-aaaa-bbbb-cccc-0123456789ab"
GROUP, SECOND = "aaaaaaaa-0000-0000-0000-000000000001", "aaaaaaaa-0000-0000-0000-000000000002"
ROLES = {"OIDC_GROUP_ROLES": f"{GROUP.upper()}=operator; {SECOND}=viewer"}
ME = "/api/v1/auth/me"
LENA: dict[str, Any] = {"tid": TENANT, "oid": OID, "preferred_username": "lena@contoso.com", "name": "Lena"}
MANY = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {
        "src1": {"endpoint": f"https://graph.windows.net/{TENANT}/users/{OID}/getMemberObjects"}
    },
}


@pytest.fixture(scope="session")
def running_entra() -> Iterator[Provider]:
    """A provider whose issuer looks like Entra's."""
    with Provider(f"/{TENANT}/v2.0") as made:
        yield made


@pytest.fixture
def entra(running_entra: Provider) -> Iterator[Provider]:
    """The provider without faults, with a Graph without groups."""
    running_entra.reset()
    running_entra.graph([])
    local = running_entra.origin.removeprefix("http://")
    running_entra.order(people={"lena": LENA}, fault={"metadata": {"msgraph_host": local}})
    yield running_entra
    running_entra.reset()


@pytest.fixture
def server(dsn: str, entra: Provider) -> Iterator[RunningServer]:
    """A server for the people of the tenant."""
    with RunningServer(dsn, {**entra.environ, "TENANT_ID": TENANT.upper(), **ROLES}) as running:
        yield running


def roles(browser: Browser) -> list[str]:
    """Return the roles of whoever is logged in."""
    return sorted(grant["role"] for grant in browser.server.get(ME).json()["roles"])


def test_a_person_is_known_by_tenant_and_object_id(
    entra: Provider, server: RunningServer, open_browser: OpenBrowser
) -> None:
    ids = set()
    for login, name in (("lena", "lena@contoso.com"), ("someone-else", "lena.kim@contoso.com")):
        entra.order(people={login: LENA | {"preferred_username": name}})
        browser = open_browser(login)
        assert browser.sign_in().status_code == 303
        ids.add(browser.server.get(ME).json()["id"])
    assert len(ids) == 1
    assert fetch(server.dsn, "select authority, subject from user_identity") == [
        {"authority": f"entra:{TENANT}", "subject": OID}
    ]
    with server.client() as client:
        assert client.get("/api/v1/auth/methods").json()["provider"]["name"] == "Microsoft"


@pytest.mark.parametrize(
    "claims",
    [
        {"tid": OTHER},
        {"tid": None},
        {"tid": 7},
        {"oid": None},
        {"oid": ""},
        {"oid": "lena"},
        {"oid": f"{OID}\n"},
    ],
)
def test_someone_of_another_tenant_or_without_an_object_id_stays_out(
    entra: Provider, server: RunningServer, open_browser: OpenBrowser, claims: dict[str, Any]
) -> None:
    entra.claims(**claims)
    assert open_browser().sign_in().status_code == httpx.codes.UNAUTHORIZED
    assert fetch(server.dsn, "select from user_identity") == []


def test_the_scopes_are_those_of_the_registration(open_browser: OpenBrowser) -> None:
    sent = httpx.URL(open_browser().begin()).params
    assert sent["scope"].split() == ["openid", "profile", "User.Read"]


def test_groups_come_from_the_token_when_they_are_in_it(entra: Provider, open_browser: OpenBrowser) -> None:
    entra.claims(groups=[GROUP, OTHER])
    browser = open_browser()
    browser.sign_in()
    assert roles(browser) == ["operator"]
    assert [path for path in entra.calls() if path.startswith("/v1.0")] == []


def test_app_roles_come_before_groups_and_need_no_graph(entra: Provider, open_browser: OpenBrowser) -> None:
    local = {"msgraph_host": entra.origin.removeprefix("http://")}
    entra.order(fault={"claims": {**MANY, "roles": ["auditor"]}, "metadata": local})
    browser = open_browser()
    browser.sign_in()
    assert roles(browser) == ["auditor"]
    assert [path for path in entra.calls() if path.startswith("/v1.0")] == []


@pytest.mark.parametrize("claims", [MANY, {"hasgroups": True}])
def test_too_many_groups_are_read_from_graph(
    entra: Provider, open_browser: OpenBrowser, claims: dict[str, Any]
) -> None:
    local = {"msgraph_host": entra.origin.removeprefix("http://")}
    entra.order(fault={"claims": claims, "metadata": local})
    pages = [[f"{number:08x}-0000-0000-0000-00000000000{page}" for number in range(999)] for page in range(5)]
    pages[4].append(SECOND)
    entra.graph(*pages)
    browser = open_browser()
    browser.sign_in()
    me = browser.server.get(ME).json()
    assert ([grant["role"] for grant in me["roles"]], me["notice"]) == (["viewer"], None)
    asked = [path for path in entra.calls() if path.startswith("/v1.0")]
    assert asked[0] == "/v1.0/me/transitiveMemberOf?$select=id&$top=999"
    assert len(asked) == 5


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_without_graph_there_are_no_roles_by_groups_and_the_person_is_told(
    entra: Provider, open_browser: OpenBrowser, status: int
) -> None:
    local = {"msgraph_host": entra.origin.removeprefix("http://")}
    entra.order(fault={"claims": MANY, "metadata": local})
    entra.graph([GROUP], status=status)
    browser = open_browser()
    assert browser.sign_in().status_code == 303
    me = browser.server.get(ME).json()
    assert (me["roles"], me["notice"]) == ([], "groups")
    words = browser.server.get("/api/v1/auth/methods", params={"failure": me["notice"]}).json()["failure"]
    assert "groups could not be read" in words["message"]


def test_graph_that_hangs_costs_a_few_seconds_and_no_more(
    entra: Provider, open_browser: OpenBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_module, "DEADLINE", 0.3)
    local = {"msgraph_host": entra.origin.removeprefix("http://")}
    entra.order(fault={"claims": MANY, "metadata": local})
    entra.graph(hang=True)
    browser = open_browser()
    assert browser.sign_in().status_code == 303
    assert browser.server.get(ME).json()["notice"] == "groups"


def test_graph_is_one_of_microsofts_whatever_the_metadata_says() -> None:
    from santaserver.oidc.metadata import read_metadata  # noqa: PLC0415

    issuer = f"https://login.microsoftonline.com/{TENANT}/v2.0"
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    document = {"issuer": issuer, **dict.fromkeys(names, f"{issuer}/x")}
    for host, address in (
        (None, "https://graph.microsoft.com"),
        ("evil.test", "https://graph.microsoft.com"),
        ("127.0.0.1:5432", "https://graph.microsoft.com"),
        ("graph.microsoft.us", "https://graph.microsoft.us"),
        ("graph.microsoft.com@evil.test", "https://graph.microsoft.com"),
    ):
        assert read_metadata({**document, "msgraph_host": host}, issuer, entra=True).graph == address
