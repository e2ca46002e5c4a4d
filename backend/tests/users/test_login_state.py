"""What the login page is told: who is logged in is no error, and whether plain HTTP can work."""

import httpx
import pytest

from santaserver.settings import load
from tests.conftest import ADMIN
from tests.support.server import RunningServer


def test_a_stranger_and_a_user_are_both_answered(anonymous: httpx.Client, admin: httpx.Client) -> None:
    received = anonymous.get("/api/v1/auth/state")
    assert (received.status_code, received.json()["user"]) == (httpx.codes.OK, None)
    assert admin.get("/api/v1/auth/state").json()["user"] == admin.get("/api/v1/auth/me").json()
    anonymous.cookies.set("santa_session", "forged")
    assert anonymous.get("/api/v1/auth/state").json()["user"] is None


@pytest.mark.parametrize(
    ("public_url", "https_only"),
    [("", True), ("https://santa.example.com", True), ("http://santa.example.com:8080", False)],
)
def test_the_page_can_know_that_plain_http_loses_the_session(
    dsn: str, public_url: str, https_only: bool
) -> None:
    with RunningServer(dsn, {"PUBLIC_URL": public_url}) as server, server.client() as client:
        received = client.get("/api/v1/auth/state").json()
        assert (received["https_only"], received["public_url"]) == (https_only, public_url)


def test_a_login_that_the_client_did_not_keep_can_be_told(dsn: str) -> None:
    """Over plain HTTP a client drops the cookie without a word; the page asks for the state and says so."""
    login = {"username": ADMIN[0], "password": ADMIN[1]}
    for public_url, kept in (("", False), ("http://testserver", True)):
        with RunningServer(dsn, {"PUBLIC_URL": public_url}) as server, server.client() as client:
            assert client.post("/api/v1/auth/login", json=login).status_code == httpx.codes.OK
            received = client.get("/api/v1/auth/state").json()
            assert (received["user"] is not None, received["https_only"]) == (kept, not kept)


def test_a_start_without_an_address_says_what_that_means() -> None:
    (caution,) = load({}).cautions
    for words in ("PUBLIC_URL", "HTTPS", "http://HOST:PORT"):
        assert words in caution
    assert load({"PUBLIC_URL": "https://santa.example.com"}).cautions == ()
