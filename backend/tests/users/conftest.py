"""Fixtures about users."""

import httpx
import pytest


@pytest.fixture
def service(admin: httpx.Client) -> int:
    """Return the number of a service account that may change rules."""
    body = {"username": "deploy", "kind": "service", "roles": [{"role": "operator"}]}
    response = admin.post("/api/v1/users", json=body)
    assert response.status_code == httpx.codes.CREATED, response.text
    number: int = response.json()["id"]
    return number
