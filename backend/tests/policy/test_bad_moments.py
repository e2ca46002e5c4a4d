"""A clock set back, unknown roles, a database that restarts, many tags: clear answers, nothing half done."""

from contextlib import closing
from datetime import datetime
from typing import Any

import httpx
import pytest

from santaserver.tags.schemas import MAX_TAGS
from tests.conftest import ADMIN, add_user
from tests.support.policy_log import UNEXPLAINED
from tests.support.postgres import Cluster, execute, fetch, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, give, policies, sha, tag

UNAVAILABLE = httpx.codes.SERVICE_UNAVAILABLE
HEAD = "select seq from policy_head"


def logged_in(server: RunningServer, name: str) -> httpx.Client:
    client = server.client()
    body = {"username": name, "password": ADMIN[1]}
    assert client.post("/api/v1/auth/login", json=body).status_code == httpx.codes.OK
    return client


def test_a_clock_set_back_an_hour_spoils_nothing(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    """Numbers go on, Macs get what is in force, what is scheduled comes in its time, sessions stay."""
    mac.sync()
    server.clock.advance(hours=3)
    soon = (server.clock().replace(microsecond=0)).timestamp() + 1800
    starts_at = datetime.fromtimestamp(soon, tz=server.clock().tzinfo).isoformat()
    add_rule(admin, sha(1))
    add_rule(admin, sha(2), starts_at=starts_at)
    server.clock.advance(hours=-1)
    assert admin.get("/api/v1/auth/me").status_code == httpx.codes.OK
    rule = add_rule(admin, sha(3))
    assert set(policies(mac)) == {sha(1), sha(3)}
    server.clock.advance(hours=1, minutes=31)
    assert set(policies(mac)) == {sha(1), sha(2), sha(3)}
    server.clock.advance(hours=-1)  # after its time: it stays in force
    assert set(policies(mac)) == {sha(1), sha(2), sha(3)}
    assert admin.delete(f"/api/v1/rules/{rule}").status_code == httpx.codes.NO_CONTENT
    assert set(policies(mac)) == {sha(1), sha(2)}
    log = fetch(server.dsn, "select seq, at, latest_at from policy_change order by seq")
    assert [row["seq"] for row in log] == list(range(1, value(server.dsn, HEAD) + 1))
    latest = [row["latest_at"] for row in log]
    assert latest == sorted(latest)
    assert [row["at"] for row in log] != latest
    assert fetch(server.dsn, UNEXPLAINED) == []


@pytest.mark.parametrize("role", ["emperor", "rule:write", "Admin", "*"])
def test_an_unknown_role_in_the_database_grants_nothing(
    server: RunningServer, admin: httpx.Client, role: str
) -> None:
    add_user(server.dsn, "odd", role)
    with closing(logged_in(server, "odd")) as odd:
        assert odd.get("/api/v1/auth/me").json()["permissions"] == []
        for method, path in (("GET", "/api/v1/rules"), ("GET", "/api/v1/machines"), ("POST", "/api/v1/tags")):
            response = odd.request(method, path, json={"name": "x"} if method == "POST" else None)
            assert response.status_code == httpx.codes.FORBIDDEN, response.text
    assert admin.get("/api/v1/users").status_code == httpx.codes.OK
    assert value(server.dsn, HEAD) == 0


def test_an_unknown_role_beside_a_known_one_changes_nothing(server: RunningServer) -> None:
    add_user(server.dsn, "mixed", "viewer")
    execute(
        server.dsn,
        """insert into binding (user_id, role, created_at)
           select id, 'owner of everything', created_at from app_user where username = 'mixed'""",
    )
    with closing(logged_in(server, "mixed")) as mixed:
        assert mixed.get("/api/v1/rules").status_code == httpx.codes.OK
        body = {"rule_type": "BINARY", "identifier": sha(1), "policy": "BLOCKLIST"}
        assert mixed.post("/api/v1/rules", json=body).status_code == httpx.codes.FORBIDDEN


def test_a_membership_while_the_database_restarts_is_whole_or_not_there(
    cluster: Cluster, server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    pilot = tag(admin, "pilot")
    before = value(server.dsn, HEAD)
    body: dict[str, Any] = {"action": "retire", "machine_ids": [mac.machine_id]}
    path = f"/api/v1/tags/{pilot}/members/{mac.machine_id}"
    cluster.pause()
    try:
        match = {"If-Match": "*"}
        assert admin.put(path, headers=match).status_code == UNAVAILABLE
        assert admin.post("/api/v1/machines/actions", json=body).status_code == UNAVAILABLE
    finally:
        cluster.resume()
    assert value(server.dsn, HEAD) == before
    assert value(server.dsn, "select count(*) from tag_member") == 0
    give(admin, pilot, mac)
    assert value(server.dsn, "select joined_seq from tag_member") == before + 1
    assert fetch(server.dsn, UNEXPLAINED) == []


def test_a_membership_that_the_database_drops_in_the_middle_leaves_nothing(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    """Its connection ends after the membership is written and before the entry of the log is."""
    mac.sync()
    pilot = tag(admin, "pilot")
    before = value(server.dsn, HEAD)
    execute(
        server.dsn,
        """create function die() returns trigger language plpgsql as $$ begin
             perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
           create trigger die after insert on tag_member for each row execute function die()""",
    )
    path = f"/api/v1/tags/{pilot}/members/{mac.machine_id}"
    assert admin.put(path).status_code == UNAVAILABLE
    assert (value(server.dsn, HEAD), value(server.dsn, "select count(*) from tag_member")) == (before, 0)
    execute(server.dsn, "drop trigger die on tag_member")
    give(admin, pilot, mac)
    assert value(server.dsn, HEAD) == before + 1
    mac.sync()


def test_a_mac_with_a_thousand_tags(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> None:
    """Among more tags, which are made in bulk here: each sync evaluates their definitions."""
    execute(
        server.dsn,
        """with made as (
             insert into tag (name, predicate, groups, created_at)
             select 'tag ' || n, case when n % 3 = 0 then 'hostname != ""' when n % 3 = 1 then 'false' end,
               case when n % 3 = 2 then array['group ' || n] else '{}' end, now()
             from generate_series(1, 1500) n returning id, name)
           insert into layer (kind, name, rank, tag_id, used)
           select 'tag', name, row_number() over (order by id), id, true from made""",
    )
    execute(server.dsn, "update policy_head set layer_version = layer_version + 1")
    mac.groups = [f"group {number}" for number in range(2, 1500, 3)]
    add_rule(admin, sha(1), layer="tag:tag 3")
    assert set(policies(mac)) == {sha(1)}
    assert value(server.dsn, "select count(*) from tag_member where left_at is null") == 1000
    assert value(server.dsn, "select cardinality(layers) from policy_signature order by 1 desc") == 1001
    shown = admin.get(f"/api/v1/machines/{mac.machine_id}/tags").json()
    assert len(shown) == 1000
    order = [one["id"] for one in admin.get("/api/v1/tags").json()]
    assert admin.put("/api/v1/tags/order", json={"tags": order[::-1]}).status_code == httpx.codes.OK
    twice = admin.put("/api/v1/tags/order", json={"tags": [*order[1:], order[1]]})
    assert twice.status_code == httpx.codes.CONFLICT
    assert "The order must list every tag once" in twice.text
    mac.groups = []
    assert set(policies(mac)) == {sha(1)}
    assert value(server.dsn, "select count(*) from tag_member where left_at is null") == 500


def test_there_are_no_more_tags_than_an_order_can_name(
    server: RunningServer,
    admin: httpx.Client,
) -> None:
    execute(
        server.dsn,
        """with made as (
             insert into tag (name, created_at) select 'tag ' || n, now() from generate_series(1, $1) n
             returning id, name)
           insert into layer (kind, name, rank, tag_id)
           select 'tag', name, row_number() over (order by id), id from made""",
        MAX_TAGS - 1,
    )
    last = tag(admin, "the last one")
    refused = admin.post("/api/v1/tags", json={"name": "one too many"})
    assert refused.status_code == httpx.codes.CONFLICT
    assert "remove one first" in refused.text
    order = admin.get("/api/v1/tags/order").json()["tags"]
    assert (len(order), order[-1]) == (MAX_TAGS, last)
    assert admin.put("/api/v1/tags/order", json={"tags": order[::-1]}).status_code == httpx.codes.OK
    for wrong in ([*order[1:], order[1]], order[1:], [*order[1:], 10**9]):
        response = admin.put("/api/v1/tags/order", json={"tags": wrong})
        assert response.status_code == httpx.codes.CONFLICT, response.text
    assert admin.get("/api/v1/tags/order").json()["tags"] == order[::-1]
    assert admin.delete(f"/api/v1/tags/{last}").status_code == httpx.codes.NO_CONTENT
    tag(admin, "one for it")
