"""The databases of the benchmarks fit the schema and the server."""

import asyncio
from argparse import Namespace

import httpx
import pytest

from tests.bench import database
from tests.support.postgres import Cluster, value
from tests.support.server import RunningServer


def command(name: str, machines: int = 0, rules: int = 0) -> None:
    options = Namespace(command=name, kind="santaserver", machines=machines, rules=rules)
    asyncio.run(database.run(options))


def test_a_made_up_fleet_can_be_used(
    cluster: Cluster, dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = cluster.dsn(f"{dsn.partition('?')[0].rpartition('/')[2]}_bench")
    monkeypatch.setenv("DATABASE_URL", made)
    command("fill", machines=30, rules=40)
    command("change", rules=3)
    command("login")
    cookie = capsys.readouterr().out.strip()
    with RunningServer(made, {"PUBLIC_URL": "https://testserver"}) as server, server.client() as client:
        client.headers["Cookie"] = cookie
        found = client.get("/api/v1/machines", params={"limit": 50})
        assert found.status_code == httpx.codes.OK, found.text
        assert len(found.json()["items"]) == 30
        assert client.get("/api/v1/overview").status_code == httpx.codes.OK
    assert value(made, "select seq - content_seq from policy_head") == 0
    cluster.drop(made.partition("?")[0].rpartition("/")[2])
