"""SCIM through santa-proxy: the path, the limits, and a token that no log shows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.e2e.conftest import Deployment
from tests.scim.directory import GROUP, MEDIA_TYPE, PATCH, SCIM, TOKENS, USER, is_error
from tests.support import secrets
from tests.support.rest_client import RestClient


@pytest.fixture
def admin(deployment: Deployment) -> Iterator[RestClient]:
    """Return the client of an administrator."""
    with deployment.api() as client:
        yield client


@pytest.fixture
def directory(deployment: Deployment, admin: RestClient) -> Iterator[httpx.Client]:
    """Return a client with a token, which is revoked afterwards."""
    ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    made = admin.post(TOKENS, json={"name": "through the proxy", "expires_at": ends}).json()
    secrets.remember(made["secret"])
    headers = {"Authorization": f"Bearer {made['secret']}", "Content-Type": MEDIA_TYPE}
    with httpx.Client(base_url=deployment.url + SCIM, headers=headers, timeout=30) as client:
        yield client
    path = f"{TOKENS}/{made['token']['id']}"
    assert admin.delete(path).status_code == httpx.codes.NO_CONTENT
    with httpx.Client(base_url=deployment.url, headers=headers, timeout=30) as client:
        assert is_error(client.get(f"{SCIM}/Users"), 401)


def test_a_person_and_a_group_are_provisioned_through_the_proxy(
    directory: httpx.Client, admin: RestClient
) -> None:
    body = {
        "schemas": [USER],
        "userName": "proxied@example.org",
        "externalId": "through-the-proxy",
    }
    made = directory.post("/Users", json=body)
    assert made.status_code == httpx.codes.CREATED, made.text
    assert made.headers["content-type"] == MEDIA_TYPE
    assert made.headers["location"] == made.json()["meta"]["location"]
    user = directory.get(made.headers["location"]).json()
    found = directory.get("/Users", params={"filter": 'externalId eq "through-the-proxy"'}).json()
    assert found["Resources"] == [user]
    group = directory.post("/Groups", json={"schemas": [GROUP], "displayName": "Through the proxy"}).json()
    told = [{"op": "Add", "path": "members", "value": [{"value": user["id"]}]}]
    changed = directory.patch(f"/Groups/{group['id']}", json={"schemas": [PATCH], "Operations": told})
    assert (changed.status_code, changed.content) == (httpx.codes.NO_CONTENT, b"")
    for path in (f"/Groups/{group['id']}", f"/Users/{user['id']}"):
        assert directory.delete(path).status_code == httpx.codes.NO_CONTENT
        assert is_error(directory.get(path), 404)
    (kept,) = admin.get("/api/v1/users", params={"q": "proxied@"}).json()["items"]
    assert kept["deprovisioned"] is True
    assert admin.delete(f"/api/v1/users/{kept['id']}").status_code == httpx.codes.NO_CONTENT


def test_nobody_gets_in_with_something_else(deployment: Deployment, admin: RestClient) -> None:
    with httpx.Client(base_url=deployment.url, timeout=30) as stranger:
        assert is_error(stranger.get(f"{SCIM}/Users"), 401)
        assert is_error(stranger.get("/scim"), 401)
        refused = stranger.post(f"{SCIM}/Users", content=b"x" * 100_000)
        assert refused.status_code == httpx.codes.UNAUTHORIZED
        assert (
            stranger.get("/scimitar", headers={"Accept": "text/html"})
            .headers["content-type"]
            .startswith("text/html")
        )
    assert is_error(admin.get(f"{SCIM}/Users"), 401)


def test_limits_hold_through_the_proxy(directory: httpx.Client) -> None:
    assert is_error(directory.post("/Users", content=b" " * (2 * 1024 * 1024 + 1)), 413)
    assert is_error(directory.get("/Users", params={"filter": "not (" * 300}), 400, "invalidFilter")
    assert directory.get("/Users", params={"startIndex": "9" * 40}).json()["Resources"] == []
