"""The demo fleet, as the console shows it: nothing that can be looked at is empty."""

import asyncio
from typing import Any

import httpx

from santaserver.demo import run
from santaserver.settings import load
from tests.conftest import ADMIN, SECRET
from tests.support.server import RunningServer

ENVIRON = {
    "SANTA_DEMO_ADMIN_USERNAME": ADMIN[0],
    "SANTA_DEMO_ADMIN_PASSWORD": ADMIN[1],
    "SANTA_DEMO_ENROLLMENT_SECRET": SECRET,
}


def items(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == httpx.codes.OK, answer.text
    found = answer.json()
    listed: list[dict[str, Any]] = found["items"] if isinstance(found, dict) else found
    return listed


def test_the_demo_has_something_of_everything(dsn: str) -> None:
    settings = load({"DATABASE_URL": dsn})
    for _ in range(2):
        asyncio.run(run(settings, ENVIRON))
    with RunningServer(dsn) as server, server.client() as client:
        login = {"username": ADMIN[0], "password": ADMIN[1]}
        assert client.post("/api/v1/auth/login", json=login).status_code == httpx.codes.OK

        (enrollment,) = items(client, "enrollments")
        assert enrollment["machines"] == len(items(client, "machines?limit=200")) == 24

        tags = items(client, "tags")
        assert {tag["name"] for tag in tags} == {"engineering", "finance", "older systems", "pilot"}
        assert all(0 < tag["members"] < 24 for tag in tags), tags
        assert sum(tag["predicate"] is not None for tag in tags) == 1
        assert sum(bool(tag["groups"]) for tag in tags) == 2

        layers = items(client, "layers")
        kinds = {layer["kind"]: layer for layer in layers if layer["rules"] and layer["settings"]}
        assert kinds.keys() >= {"global", "tag", "machine"}, layers
        named = {layer["layer"]: layer for layer in layers}
        assert named["user:greta"]["rules"] == 1
        assert named["user:hiro"]["settings"] == 1
        assert [layer["layer"] for layer in layers if not layer["machines"]] == []
        assert any(rule["locked"] for rule in items(client, "rules?limit=200"))

        accesses = items(client, "file-accesses?limit=100")
        assert len({access["decision"] for access in accesses}) == 3
        audits = items(client, "agent-audits?limit=100")
        assert len(audits) == 6
