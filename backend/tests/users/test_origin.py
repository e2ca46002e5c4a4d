"""Requests that another web site makes a browser send are refused."""

import httpx
import pytest

from santaserver.users.origin import same_origin

PUBLIC = "https://santa.example.com"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "https://santa.example.com"}, True),
        ({"origin": "https://evil.example.com", "host": "santa.example.com"}, False),
        ({"origin": "http://127.0.0.1:8080", "host": "127.0.0.1:8080"}, True),
        ({"origin": "http://127.0.0.1:8080", "x-forwarded-host": "127.0.0.1:8080", "host": "unix"}, True),
        ({"origin": "null", "host": "santa.example.com"}, False),
        ({"origin": "null"}, False),
        ({"origin": PUBLIC, "sec-fetch-site": "cross-site"}, True),
    ],
)
def test_same_origin(headers: dict[str, str], allowed: bool) -> None:
    assert same_origin(headers, PUBLIC) is allowed


def test_a_foreign_page_cannot_change_anything(admin: httpx.Client) -> None:
    rule = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
    for headers in ({"Origin": "https://evil.example.com"}, {"Sec-Fetch-Site": "cross-site"}):
        response = admin.post("/api/v1/rules", json=rule, headers=headers)
        assert response.status_code == httpx.codes.FORBIDDEN
    assert admin.get("/api/v1/rules").json()["items"] == []


def test_santas_stages_are_not_a_browsers_business(anonymous: httpx.Client) -> None:
    headers = {"Origin": "https://evil.example.com"}
    response = anonymous.post("/api/santa/preflight/M1", json={"serial_num": "S"}, headers=headers)
    assert response.status_code == httpx.codes.OK
