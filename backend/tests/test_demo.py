"""The demo fleet in the console: no page is empty."""

import asyncio
import random
from typing import Any

import asyncpg
import httpx
import pytest

from santaserver import demo
from santaserver.demo import run
from santaserver.demo_data import FLEET_SIZE
from santaserver.events.catalog import ProgramCache
from santaserver.settings import load
from santaserver.sync.service import SyncContext
from tests.conftest import ADMIN, SECRET
from tests.support.policy_log import UNEXPLAINED
from tests.support.postgres import fetch, value
from tests.support.server import RunningServer

ENVIRON = {
    "SANTA_DEMO_ADMIN_USERNAME": ADMIN[0],
    "SANTA_DEMO_ADMIN_PASSWORD": ADMIN[1],
    "SANTA_DEMO_ENROLLMENT_SECRET": SECRET,
}


def items(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    response = client.get(f"/api/v1/{path}")
    assert response.status_code == httpx.codes.OK, response.text
    found = response.json()
    listed: list[dict[str, Any]] = found["items"] if isinstance(found, dict) else found
    return listed


def test_the_demo_has_something_of_everything(dsn: str) -> None:
    settings = load({"DATABASE_URL": dsn})
    for _ in range(2):
        asyncio.run(run(settings, ENVIRON))
    assert fetch(dsn, UNEXPLAINED) == []
    assert value(dsn, "select seq from policy_head") == value(dsn, "select count(*) from policy_change") > 0
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


@pytest.mark.parametrize("machines", [0, 19])
def test_an_interrupted_demo_leaves_nothing_and_is_made_at_the_next_start(
    dsn: str, monkeypatch: pytest.MonkeyPatch, machines: int
) -> None:
    settings = load({"DATABASE_URL": dsn})
    real = demo._machine

    async def until_ctrl_c(
        context: SyncContext, number: int, chance: random.Random, programs: ProgramCache
    ) -> None:
        if number == machines:
            raise KeyboardInterrupt
        await real(context, number, chance, programs)

    monkeypatch.setattr(demo, "_machine", until_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run(settings, ENVIRON))
    assert counts(dsn) == {"machine": 0, "rule_version": 0, "tag": 0}
    monkeypatch.setattr(demo, "_machine", real)
    asyncio.run(run(settings, ENVIRON))
    assert counts(dsn)["machine"] == FLEET_SIZE


def counts(dsn: str) -> dict[str, int]:
    async def count() -> dict[str, int]:
        connection = await asyncpg.connect(dsn)
        try:
            tables = ("machine", "rule_version", "tag")
            return {table: await connection.fetchval(f"select count(*) from {table}") for table in tables}  # noqa: S608
        finally:
            await connection.close()

    return asyncio.run(count())
