"""ID tokens that must not be accepted, as a real provider delivers them, and their neighbors that must."""

from typing import Any

import httpx
import pytest

from tests.oidc.conftest import Shared
from tests.support.postgres import fetch
from tests.support.provider import CLIENT_ID

OTHER = "another-client"

BAD: dict[str, dict[str, Any]] = {
    "algorithm none": {"token": {"header": {"alg": "none"}, "unsigned": True}},
    "algorithm nOnE": {"token": {"header": {"alg": "nOnE"}, "unsigned": True}},
    "no algorithm": {"token": {"header": {"alg": None}, "unsigned": True}},
    "signed as RS256, without a signature": {"token": {"unsigned": True}},
    "HMAC with the public key": {"token": {"header": {"alg": "HS256"}, "hmac": "public"}},
    "HMAC with the client secret": {"token": {"header": {"alg": "HS256"}, "hmac": "secret"}},
    "HMAC that claims to be RSA": {"token": {"hmac": "public"}},
    "algorithm RS512": {"token": {"header": {"alg": "RS512"}}},
    "algorithm ES256 with an RSA key": {"token": {"header": {"alg": "ES256"}}},
    "a foreign key": {"token": {"key": "foreign"}},
    "an unknown key": {"token": {"key": "foreign", "header": {"kid": "nobody"}}},
    "no key id": {"token": {"header": {"kid": None}}},
    "an empty key id": {"token": {"header": {"kid": ""}}},
    "a key in the header": {
        "token": {"key": "foreign", "header": {"jwk": {"kty": "RSA", "e": "AQAB", "n": "AQ"}}}
    },
    "an address of keys in the header": {
        "token": {"key": "foreign", "header": {"jku": "http://127.0.0.1:9/jwks", "kid": "theirs"}}
    },
    "an unknown critical extension": {"token": {"header": {"crit": ["x"], "x": 1}}},
    "a known critical extension": {"token": {"header": {"crit": ["b64"], "b64": True}}},
    "another type": {"token": {"header": {"typ": "at+jwt"}}},
    "a cut signature": {"token": {"cut": True}},
    "no object": {"token": {"raw": "[1]"}},
    "no JSON": {"token": {"raw": "claims"}},
    "another issuer": {"claims": {"iss": "https://login.example.com"}},
    "the issuer with a slash": {"claims": {"iss": "{issuer}/"}},
    "no issuer": {"claims": {"iss": None}},
    "another audience": {"claims": {"aud": OTHER}},
    "another audience, ours as azp": {"claims": {"aud": OTHER, "azp": CLIENT_ID}},
    "a list of another audience, ours as azp": {"claims": {"aud": [OTHER], "azp": CLIENT_ID}},
    "several audiences without azp": {"claims": {"aud": [CLIENT_ID, OTHER]}},
    "several audiences, another azp": {"claims": {"aud": [CLIENT_ID, OTHER], "azp": OTHER}},
    "our audience, another azp": {"claims": {"azp": OTHER}},
    "an audience that is no text": {"claims": {"aud": [CLIENT_ID, 7], "azp": CLIENT_ID}},
    "no audience": {"claims": {"aud": None}},
    "no nonce": {"claims": {"nonce": None}},
    "another nonce": {"claims": {"nonce": "of-an-earlier-sign-in"}},
    "a nonce that is no text": {"claims": {"nonce": 7}},
    "no subject": {"claims": {"sub": None}},
    "an empty subject": {"claims": {"sub": ""}},
    "a subject that is no text": {"claims": {"sub": 7}},
    "a subject that cannot be stored": {"claims": {"sub": "a\0b"}},
    "a subject that is too long": {"claims": {"sub": "a" * 300}},
    "no expiry": {"claims": {"exp": None}},
    "expired 61 s ago": {"claims": {"exp": "-61"}},
    "an expiry that is a text": {"claims": {"exp": "9999999999"}},
    "an expiry that is true": {"claims": {"exp": True}},
    "an expiry beyond the calendar": {"claims": {"exp": 1e300}},
    "no time of issue": {"claims": {"iat": None}},
    "issued in the future": {"claims": {"iat": "+90"}},
    "not valid yet": {"claims": {"nbf": "+90"}},
}


def named(shared: Shared, fault: dict[str, Any]) -> dict[str, Any]:
    """Put the provider's issuer into a fault."""
    claims = fault.get("claims", {})
    filled = {
        name: text.replace("{issuer}", shared.provider.issuer) if isinstance(text, str) else text
        for name, text in claims.items()
    }
    return {**fault, "claims": filled}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_opens_no_session(shared: Shared, name: str) -> None:
    callback = shared.browser.consent(shared.browser.begin())
    sessions = shared.sessions()
    shared.provider.order(fault=named(shared, BAD[name]))
    response = shared.browser.back(callback)
    assert response.status_code == httpx.codes.UNAUTHORIZED, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in response.headers
    assert shared.sessions() == sessions
    (entry,) = fetch(shared.server.dsn, "select * from audit_log order by id desc limit 1")
    assert (entry["action"], entry["actor_kind"], entry["object_id"]) == ("login_refused", "anonymous", "*")


GOOD: dict[str, dict[str, Any]] = {
    "as it is": {},
    "expired 30 s ago": {"claims": {"exp": "-30"}},
    "issued 30 s in the future": {"claims": {"iat": "+30", "nbf": "+30"}},
    "a list of our audience": {"claims": {"aud": [CLIENT_ID]}},
    "several audiences, ours as azp": {"claims": {"aud": [OTHER, CLIENT_ID], "azp": CLIENT_ID}},
    "fractions of seconds": {"claims": {"exp": 4102444800.5}},
    "no type": {"token": {"header": {"typ": None}}},
    "unknown parts of the header": {"token": {"header": {"x5t": "AQ", "jku": "http://127.0.0.1:9/"}}},
}


@pytest.mark.parametrize("name", GOOD)
def test_a_token_at_the_edge_of_what_is_allowed_is_accepted(shared: Shared, name: str) -> None:
    callback = shared.browser.consent(shared.browser.begin())
    shared.provider.order(fault=GOOD[name])
    response = shared.browser.back(callback)
    assert response.status_code == httpx.codes.SEE_OTHER, response.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id_token": 7, "access_token": "x"},
        {"id_token": "x" * 600_000},
        {"id_token": "a.b"},
        {"id_token": "....."},
        {"id_token": "ü.é.\0"},
        {"id_token": ["a"]},
    ],
)
def test_what_is_no_token_at_all_is_refused(shared: Shared, body: dict[str, Any]) -> None:
    callback = shared.browser.consent(shared.browser.begin())
    shared.provider.order(fault={"status": {"path": "/token", "code": 200, "body": body}})
    assert shared.browser.back(callback).status_code == httpx.codes.UNAUTHORIZED


def test_many_tokens_with_unknown_keys_cause_one_request_for_keys(shared: Shared) -> None:
    shared.server.clock.advance(minutes=6)
    callbacks = [shared.browser.consent(shared.browser.begin()) for _ in range(6)]
    shared.provider.calls()
    for number, callback in enumerate(callbacks):
        fault = {"token": {"key": "foreign", "header": {"kid": f"unknown-{number}"}}}
        shared.provider.order(fault={**fault, "claims": {"iat": "+300", "exp": "+900"}})
        assert shared.browser.back(callback).status_code == httpx.codes.UNAUTHORIZED
    assert shared.provider.count("/jwks") <= 1
