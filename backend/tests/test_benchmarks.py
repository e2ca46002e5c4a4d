"""What the benchmarks store and send fits the schema and the interface."""

import asyncio
from argparse import Namespace

import httpx
import pytest

from tests.bench import database, rest_requests
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
    public = {"PUBLIC_URL": "https://testserver"}
    with RunningServer(made, public, as_owner=True) as server, server.client() as client:
        client.headers["Cookie"] = cookie
        found = client.get("/api/v1/machines", params={"limit": 50})
        assert found.status_code == httpx.codes.OK, found.text
        assert len(found.json()["items"]) == 30
        assert client.get("/api/v1/overview").status_code == httpx.codes.OK
    assert value(made, "select seq - content_seq from policy_head") == 0
    cluster.drop(made.partition("?")[0].rpartition("/")[2])


def test_every_request_that_is_measured_succeeds(cluster: Cluster) -> None:
    name = cluster.create()
    rounds = rest_requests.WARM_UP + 1
    spent = asyncio.run(
        rest_requests.measure(cluster.dsn(name), *rest_requests.filled(cluster.dsn(name)), rounds)
    )
    assert len(spent) >= 19
    assert {len(times) for times in spent.values()} == {1}
    cluster.drop(name)
