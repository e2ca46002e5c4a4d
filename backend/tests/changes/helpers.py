"""Requests about the policy log."""

from typing import Any

import httpx


def newest(client: httpx.Client) -> int:
    """Return the number of the newest change."""
    seq: int = client.get("/api/v1/changes", params={"limit": 1}).json()["items"][0]["seq"]
    return seq


def reverted(client: httpx.Client, seq: int, **wanted: object) -> httpx.Response:
    """Ask to take back a change."""
    return client.post(f"/api/v1/changes/{seq}/revert", json={"dry_run": False, **wanted})


def revert(client: httpx.Client, seq: int, **wanted: object) -> dict[str, Any]:
    """Take back a change; return the plan."""
    response = reverted(client, seq, **wanted)
    assert response.status_code == httpx.codes.OK, response.text
    plan: dict[str, Any] = response.json()
    return plan


def details(client: httpx.Client, seq: int, **params: object) -> dict[str, Any]:
    """Return what a change did."""
    response = client.get(f"/api/v1/changes/{seq}", params=params)  # type: ignore[arg-type]
    assert response.status_code == httpx.codes.OK, response.text
    shown: dict[str, Any] = response.json()
    return shown
