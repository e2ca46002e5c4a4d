"""How people of a directory sign in: linked by the id that never changes, kept out when withdrawn."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import ADMIN
from tests.oidc.conftest import OpenBrowser
from tests.oidc.test_entra import LENA, OID, TENANT
from tests.scim.directory import Directory, is_error, new_token, path_of
from tests.support.postgres import fetch, value
from tests.support.provider import Provider
from tests.support.server import RunningServer

ME = "/api/v1/auth/me"


@pytest.fixture(scope="module")
def entra() -> Iterator[Provider]:
    """A provider whose issuer looks like Entra's."""
    with Provider(f"/{TENANT}/v2.0") as made:
        made.order(people={"lena": LENA})
        yield made


@pytest.fixture
def server(dsn: str, entra: Provider) -> Iterator[RunningServer]:
    """A server for the people of the tenant."""
    with RunningServer(dsn, {**entra.environ, "TENANT_ID": TENANT}) as running:
        yield running


@pytest.fixture
def directory(server: RunningServer) -> Iterator[Directory]:
    """The directory of the tenant."""
    with server.client() as admin:
        body = {"username": ADMIN[0], "password": ADMIN[1]}
        admin.post("/api/v1/auth/login", json=body).raise_for_status()
        with Directory(server, new_token(admin, server)["secret"], admin) as made:
            yield made


def number_of(directory: Directory, user: dict[str, Any]) -> int:
    number: int = value(
        directory.server.dsn, "select user_id from scim_user where scim_id::text = $1", user["id"]
    )
    return number


@pytest.mark.parametrize("external_id", [OID, OID.upper()])
def test_a_provisioned_person_signs_in_to_the_account_of_the_directory(
    directory: Directory, open_browser: OpenBrowser, external_id: str
) -> None:
    user = directory.user("lena.k@contoso.com", externalId=external_id, displayName="Lena of the directory")
    browser = open_browser()
    assert browser.sign_in().status_code == httpx.codes.SEE_OTHER
    me = browser.server.get(ME).json()
    assert me["id"] == number_of(directory, user)
    assert (me["username"], me["display_name"]) == ("lena.k@contoso.com", "Lena of the directory")
    assert browser.sign_in().status_code == httpx.codes.SEE_OTHER
    assert len(fetch(directory.server.dsn, "select from app_user")) == 2


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("how", ["deactivated", "deleted"])
def test_who_is_withdrawn_stays_out_whatever_the_provider_says(
    directory: Directory, open_browser: OpenBrowser, how: str, first: bool
) -> None:
    user = directory.user("lena@contoso.com", externalId=OID)
    browser = open_browser()
    if not first:
        browser.sign_in()
    if how == "deactivated":
        directory.patch(path_of(user), {"op": "Replace", "path": "active", "value": "False"})
    else:
        directory.send("DELETE", path_of(user))
    assert browser.server.get(ME).status_code == httpx.codes.UNAUTHORIZED
    response = browser.sign_in()
    assert response.status_code == httpx.codes.UNAUTHORIZED
    assert "withdrawn" in response.json()["detail"]
    assert len(fetch(directory.server.dsn, "select from app_user")) == 2
    assert fetch(directory.server.dsn, "select from user_session where user_id <> 1") == []
    directory.send("DELETE", path_of(user))
    directory.user("lena@contoso.com", externalId=OID)
    assert browser.sign_in().status_code == httpx.codes.SEE_OTHER


def test_who_signed_in_before_is_taken_over_and_not_made_again(
    directory: Directory, open_browser: OpenBrowser
) -> None:
    browser = open_browser()
    browser.sign_in()
    number = browser.server.get(ME).json()["id"]
    user = directory.user("lena@contoso.com", externalId=OID)
    assert number_of(directory, user) == number
    directory.patch(path_of(user), {"op": "Replace", "path": "active", "value": "False"})
    assert browser.server.get(ME).status_code == httpx.codes.UNAUTHORIZED


def test_an_address_links_nobody(directory: Directory, open_browser: OpenBrowser) -> None:
    user = directory.user(
        "lena@contoso.com", externalId="lena", emails=[{"value": "lena@contoso.com", "primary": True}]
    )
    browser = open_browser()
    browser.sign_in()
    me = browser.server.get(ME).json()
    assert me["id"] != number_of(directory, user)
    assert me["username"] == "lena@contoso.com (2)"
    assert directory.admin.get("/api/v1/scim").json()["unlinked_users"] == 1
    told = {"op": "Replace", "path": "externalId", "value": OID}
    refused = directory.patch(path_of(user), told)
    assert is_error(refused, 409, "uniqueness")
    assert "signed in before" in refused.json()["detail"]
    assert directory.admin.delete(f"/api/v1/users/{me['id']}").is_success
    assert directory.patch(path_of(user), told).status_code == httpx.codes.OK
    browser.sign_in()
    assert browser.server.get(ME).json()["id"] == number_of(directory, user)
