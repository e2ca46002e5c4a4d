"""Requests about API tokens, and with them."""

from datetime import timedelta
from typing import Any

import httpx

from tests.support.rest_client import RestClient
from tests.support.server import RunningServer

TOKENS = "/api/v1/tokens"
RULE = {"rule_type": "BINARY", "policy": "BLOCKLIST"}


def create(client: httpx.Client, server: RunningServer, **fields: Any) -> httpx.Response:  # noqa: ANN401
    body = {
        "name": "ci",
        "permissions": ["rule:read", "rule:write"],
        "expires_at": (server.clock() + timedelta(days=30)).isoformat(),
        **fields,
    }
    return client.post(TOKENS, json=body)


def made(client: httpx.Client, server: RunningServer, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    response = create(client, server, **fields)
    assert response.status_code == httpx.codes.CREATED, response.text
    answer: dict[str, Any] = response.json()
    return answer


def bearer(server: RunningServer, secret: str) -> RestClient:
    return server.client(Authorization=f"Bearer {secret}")
