"""The list of rules says what the rules themselves say, whatever it is asked by."""

import time
from typing import Any

import httpx
import pytest

from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

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
        answer = admin.post("/api/v1/rules", json=rule)
        assert answer.status_code == httpx.codes.CREATED, answer.text
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
    answer = admin.get(f"/api/v1/rules?{query}")
    assert answer.status_code == httpx.codes.OK, answer.text
    assert len(answer.json()["items"]) == found
    assert all(item in rules for item in answer.json()["items"])


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
    idle = server.app.state.santa.database._rest._idle
    seen: list[str] = []
    watched: set[int] = set()
    asked: list[str] = []
    # The connection of the request before may not be back yet; then it is the next one that is taken.
    for _ in range(10):
        for member in [member for member in idle if id(member) not in watched]:
            watched.add(id(member))
            member.raw.add_query_logger(lambda record: seen.append(record.query))
        seen.clear()
        assert admin.get("/api/v1/rules").json()["items"] == rules
        # The driver tells of a statement a turn of its loop later, which may be after the answer.
        until = time.monotonic() + 1
        while not seen and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.05)
        asked = [query for query in seen if query != "select 1" and "user_session" not in query]
        if asked:
            break
    assert len(asked) == 1, asked
    assert asked[0].lstrip().startswith("with page")
