"""What is noted of a Mac over time: only differences, and for a while."""

import asyncio
from datetime import datetime, timedelta

import asyncpg
import httpx
import pytest

from santaserver.settings import RetentionSettings
from santaserver.sync.history import prune_history
from tests.conftest import ADMIN
from tests.support.postgres import fetch, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.support.statements import statements
from tests.sync.helpers import add_rule, change_rule, give, sha, tag

COUNTS = """select (select count(*) from machine_signature) as signatures,
  (select count(*) from machine_confirmation) as confirmations"""


KEEP = RetentionSettings.model_validate({"HISTORY_RETENTION_DAYS": 20, "CONFIRMATION_RETENTION_DAYS": 10})


def noted(server: RunningServer) -> tuple[int, int]:
    """Return how many rows there are of signatures and of confirmations."""
    (row,) = fetch(server.dsn, COUNTS)
    return row["signatures"], row["confirmations"]


def test_a_sync_without_news_has_five_statements_and_leaves_nothing(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    add_rule(admin, sha(1))
    mac.sync()
    mac.sync()  # its counts are another report than that of a new Mac
    assert noted(server) == (1, 1)
    with statements(server, "_syncs") as sent:
        mac.sync()
    assert [statement.split()[0] for statement in sent] == ["select", "update", "select", "select", "update"]
    assert noted(server) == (1, 1)


def test_what_concerns_other_macs_leaves_nothing(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    tag(admin, "others")
    mac.sync()
    before = noted(server)
    rule = add_rule(admin, sha(1), layer="tag:others")
    change_rule(admin, rule, "ALLOWLIST")
    mac.sync()
    assert value(server.dsn, "select acked_seq from machine_sync") == value(
        server.dsn, "select seq from policy_head"
    )
    assert noted(server) == before


@pytest.mark.parametrize("what", ["rule", "setting", "tag", "santa"])
def test_each_difference_is_one_row(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, what: str
) -> None:
    pilot = tag(admin, "pilot")
    add_rule(admin, sha(1), layer="tag:pilot")
    mac.sync()
    signatures, confirmations = noted(server)
    if what == "rule":
        add_rule(admin, sha(2))
    elif what == "setting":
        assert admin.patch("/api/v1/settings", json={"batch_size": 33}).is_success
    elif what == "tag":
        give(admin, pilot, mac)
    else:
        mac.santa_version = "2025.6.1"
    mac.sync(), mac.sync()
    assert noted(server) == (signatures + (what in {"tag", "santa"}), confirmations + 1)


def test_a_repeated_postflight_is_noted_once(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    add_rule(admin, sha(1))
    mac.sync(repeat="postflight")
    assert noted(server) == (1, 2)


def test_members_have_reasons(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    path = f"/api/v1/tags/{tag(admin, 'pilot')}/members/{mac.machine_id}"
    assert admin.put(path, params={"reason": "volunteered"}).is_success
    assert admin.delete(path, params={"reason": "moved — on"}).is_success
    found = fetch(server.dsn, "select joined_reason, left_reason from tag_member")
    assert [tuple(one.values()) for one in found] == [("volunteered", "moved — on")]
    told = fetch(server.dsn, "select reason from audit_log where action like 'tag_member%' order by id")
    assert [one["reason"] for one in told] == ["volunteered", "moved — on"]
    assert admin.put(path, params={"reason": "x" * 1001}).status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert admin.put(path, params={"reason": "a\0"}).status_code == httpx.codes.UNPROCESSABLE_ENTITY


async def prune(dsn: str, now: datetime, limit: int) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return await prune_history(connection, now, KEEP, limit)
    finally:
        await connection.close()


def test_old_history_goes_but_for_what_still_holds(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    """Five days of changes: of the first two, only the last confirmation is left."""
    pilot = tag(admin, "pilot")
    rule = add_rule(admin, sha(1))
    mac.sync()
    for number in range(5):
        server.clock.advance(days=1)
        change_rule(admin, rule, "ALLOWLIST", custom_msg=str(number))
        give(admin, pilot, mac)
        give(admin, pilot, mac, "DELETE")
        mac.sync()
    cutoff = server.clock() - timedelta(days=2, hours=12)
    url = f"/api/v1/machines/{mac.machine_id}/policy"
    moments = [(cutoff + timedelta(hours=hours)).isoformat() for hours in (0, 24, 48)]
    before = [admin.get(url, params={"at": at}).json() for at in moments]
    later = cutoff + timedelta(days=10)
    assert [asyncio.run(prune(server.dsn, later, 2)) for _ in range(3)] == [2, 0, 0]
    assert noted(server) == (1, 4)
    assert value(server.dsn, "select count(*) from tag_member") == 5
    assert [admin.get(url, params={"at": at}).json() for at in moments] == before
    assert [asyncio.run(prune(server.dsn, cutoff + timedelta(days=20), 10)) for _ in range(2)] == [3, 0]
    assert (noted(server), value(server.dsn, "select count(*) from tag_member")) == ((1, 1), 3)


def test_what_is_not_kept_is_said(dsn: str) -> None:
    with RunningServer(dsn, {"HISTORY_RETENTION_DAYS": "20", "CONFIRMATION_RETENTION_DAYS": "10"}) as server:
        mac = SimulatedMac(server.url)
        with server.client() as admin:
            admin.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
            add_rule(admin, sha(1))
            mac.sync()
            at = server.clock().isoformat()
            url = f"/api/v1/machines/{mac.machine_id}/policy"
            assert admin.get(url, params={"at": at}).json()["confirmations_kept"]
            server.clock.advance(days=11)
            shown = admin.get(url, params={"at": at}).json()
            assert (shown["confirmations_kept"], shown["confirmed"]) == (False, None)
            assert [one["delivery"] for one in shown["rules"]] == ["unknown"]
            assert {one["confirmed"] for one in shown["settings"].values()} == {None}
            server.clock.advance(days=10)
            gone = admin.get(url, params={"at": at})
            assert gone.status_code == httpx.codes.UNPROCESSABLE_ENTITY
            assert "HISTORY_RETENTION_DAYS" in gone.json()["errors"][0]["message"]
        mac.close()
