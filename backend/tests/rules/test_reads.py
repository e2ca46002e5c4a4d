"""The list of rules matches the single rules, with any filter."""

from typing import Any

import httpx
import pytest

from santaserver.cache import CacheMemory
from santaserver.rules.progress import MACS_A_SECOND, NOBODY, FleetProgress, LayerProgress, progress_of
from tests.support.postgres import execute
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.support.statements import statements

SHA = "{:064x}"


@pytest.fixture
def rules(admin: httpx.Client, mac: SimulatedMac) -> list[dict[str, Any]]:
    """Rules in every kind of layer, some of which a Mac has confirmed."""
    admin.post("/api/v1/tags", json={"name": "Finance"})
    mac.sync()
    made: list[dict[str, Any]] = [
        {"layer": "global", "comment": 'quotes " and \\ and \u2028', "custom_msg": "Ask 100% of_us"},
        {"layer": "tag:Finance", "policy": "ALLOWLIST", "locked": True, "reason": "audit"},
        {"layer": f"machine:{mac.machine_id}", "policy": "CEL", "cel_expr": "true ? ALLOWLIST : BLOCKLIST"},
        {"layer": f"user:{mac.primary_user}", "policy": "NONE"},
        {"layer": "global", "starts_at": "2099-01-01T00:00:00Z", "expires_at": "2099-02-01T00:00:00+02:00"},
        {"layer": "global", "custom_url": "https://example.com/?a=1&b=2"},
    ]
    for number, content in enumerate(made):
        rule = {"rule_type": "BINARY", "identifier": SHA.format(number), "policy": "BLOCKLIST"} | content
        response = admin.post("/api/v1/rules", json=rule)
        assert response.status_code == httpx.codes.CREATED, response.text
        if number == 3:
            mac.sync()
    listed: list[dict[str, Any]] = admin.get("/api/v1/rules").json()["items"]
    return listed


def test_a_list_shows_each_rule_as_it_is(admin: httpx.Client, rules: list[dict[str, Any]]) -> None:
    assert len(rules) == 6
    assert [rule["id"] for rule in rules] == sorted((rule["id"] for rule in rules), reverse=True)
    for rule in rules:
        assert rule == admin.get(f"/api/v1/rules/{rule['id']}").json()
    assert {rule["machines_acked"] for rule in rules} == {0, 1}
    assert {rule["state"] for rule in rules} == {"waiting", "active"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("layer=global", 3),
        ("layer=tag:fINANCE", 1),
        ("layer=user:SIM", 1),
        ("policy=CEL", 1),
        ("rule_type=CDHASH", 0),
        ("rule_type=BINARY&policy=BLOCKLIST&layer=global&q=us", 1),
        ("q=100%25", 1),
        ("q=_", 1),
        ("q=%22", 1),
        ("q=%5C", 1),
        ("q=ternary", 0),
        ("q=%20%20", 6),
    ],
)
def test_a_list_is_narrowed_down(
    admin: httpx.Client, rules: list[dict[str, Any]], query: str, found: int
) -> None:
    response = admin.get(f"/api/v1/rules?{query}")
    assert response.status_code == httpx.codes.OK, response.text
    assert len(response.json()["items"]) == found
    assert all(item in rules for item in response.json()["items"])


@pytest.mark.parametrize("layer", ["tag:none", "machine:none", "user:none"])
def test_a_layer_that_is_not_there_is_no_empty_list(admin: httpx.Client, layer: str) -> None:
    assert admin.get(f"/api/v1/rules?layer={layer}").status_code == httpx.codes.NOT_FOUND


def test_pages_hold_everything_once(admin: httpx.Client, rules: list[dict[str, Any]]) -> None:
    found: list[dict[str, Any]] = []
    query: dict[str, str | int] = {"limit": 1}
    while query:
        page = admin.get("/api/v1/rules", params=query).json()
        found += page["items"]
        query = {"limit": 1, "cursor": page["next_cursor"]} if page["next_cursor"] else {}
    assert found == rules


def test_a_list_is_one_statement_without_a_transaction(
    server: RunningServer, admin: httpx.Client, rules: list[dict[str, Any]]
) -> None:
    for path, items in (("/api/v1/rules", rules), ("/api/v1/rules?limit=2&layer=global", None)):
        with statements(server) as asked:
            page = admin.get(path).json()
        assert items is None or page["items"] == items
        assert [text.lstrip().split()[:2] for text in asked] == [["with", "page"]]


def test_counts_of_a_large_fleet_are_taken_together(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
    seq = admin.post("/api/v1/rules", json=rule).json()["seq"]
    mac.sync()
    now = 1000.0
    monkeypatch.setattr("santaserver.rules.reads.time.monotonic", lambda: now)
    monkeypatch.setattr("santaserver.rules.progress.FEW", 5)

    def shown() -> tuple[int, int]:
        (item,) = admin.get("/api/v1/rules").json()["items"]
        return item["machines_acked"], item["machines_total"]

    assert shown() == (1, 1)
    add_machines(server.dsn, 9, seq)
    assert shown() == (10, 10), "what few Macs have confirmed is always counted"
    add_machines(server.dsn, 90, seq - 1)
    assert shown() == (10, 10), "what many have confirmed is remembered"
    now += 100 / MACS_A_SECOND
    assert shown() == (10, 100)


def add_machines(dsn: str, number: int, seq: int) -> None:
    """Add Macs that have confirmed this policy number."""
    execute(
        dsn,
        """with made as (insert into machine (machine_id, serial, enrolled_at)
             select gen_random_uuid()::text, n::text, now() from generate_series(1, $1) n returning id)
           insert into machine_sync (machine_id, acked_seq, acked_signature)
             select id, $2, (select min(id) from policy_signature) from made""",
        number,
        seq,
    )


def test_progress_counts_macs_from_a_number_on() -> None:
    progress = progress_of(7, [(3, 2), (9, 1), (5, 3)])
    assert [progress.confirmed(seq) for seq in (0, 3, 4, 5, 6, 9, 10)] == [6, 6, 4, 4, 1, 1, 0]
    assert NOBODY.confirmed(0) == 0


def test_one_list_counts_while_the_others_use_the_old_numbers() -> None:
    fleet = FleetProgress(CacheMemory())
    found = fleet.learn(([[1, 80_000], [7, 3]], [[1, 4, 5]], None), 100.0)
    assert found == {1: LayerProgress(80_000, [4], [5]), 7: LayerProgress(3, [], [])}
    assert fleet.known(107.0) == found
    assert fleet.known(108.1) == {}, "the first who finds them old counts"
    assert fleet.known(108.2) == found
    assert fleet.known(109.2) == {}, "whoever counted has failed"
    assert fleet.known(120.0) == {}
    small = FleetProgress(CacheMemory())
    assert small.learn(([[1, 999]], None, 900), 100.0) == {1: LayerProgress(999, [], [])}
    assert small.known(100.0) == {}
