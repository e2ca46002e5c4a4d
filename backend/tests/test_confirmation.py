"""Changes that loosen the policy or concern many Macs ask first, with the true number of Macs."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from santaserver.confirmation import Confirmation, ConfirmReason, Limit, parse_limit
from santaserver.layers.lockdown import Mode, State, leaving, mode_of
from santaserver.policy.layer_ranks import GLOBAL_LAYER, MACHINE_RANK
from santaserver.settings import load
from santaserver.settings_area import SettingsError
from tests.conftest import ADMIN
from tests.support.postgres import execute, value
from tests.support.rest_client import RestClient, asked
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, sha, tag

FLEET = 20
BLOCK, ALLOW = "BLOCKLIST", "ALLOWLIST"

# Limits


@pytest.mark.parametrize(
    ("text", "limit", "machines", "fleet", "many"),
    [
        ("10%", Limit(10, percent=True), 2, 20, False),
        ("10%", Limit(10, percent=True), 3, 20, True),
        ("10%", Limit(10, percent=True), 1, 1, False),
        ("10%", Limit(10, percent=True), 2, 2, True),
        (" 0% ", Limit(0, percent=True), 1, 1000, False),
        ("0%", Limit(0, percent=True), 2, 1000, True),
        ("100%", Limit(100, percent=True), 1000, 1000, False),
        ("50", Limit(50, percent=False), 50, 60, False),
        ("50", Limit(50, percent=False), 51, 60, True),
        ("0", Limit(0, percent=False), 1, 60, False),
    ],
)
def test_a_limit_is_a_share_or_a_number(
    text: str, limit: Limit, machines: int, fleet: int, many: bool
) -> None:
    assert parse_limit(text) == limit
    assert limit.exceeded(machines, fleet) is many


@pytest.mark.parametrize("text", ["", "x", "-1", "101%", "10 %", "1e3", "%", "10%%", "9999999999"])
def test_a_wrong_limit_stops_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number of Macs"):
        parse_limit(text)
    if text:
        with pytest.raises(SettingsError, match="CONFIRM_ABOVE"):
            load({"CONFIRM_ABOVE": text})


def test_a_token_stands_for_the_number_the_reasons_and_the_version() -> None:
    asking = Confirmation(limit=Limit(10, percent=True))
    lost = ConfirmReason(kind="loosens", machines=3, detail="less")
    questions = [
        asking.question("v1", [lost], 3, 20),
        asking.question("v2", [lost], 3, 20),
        asking.question("v1", [], 3, 20),
        asking.question("v1", [lost], 4, 20),
    ]
    tokens = {question.token for question in questions if question}
    assert len(tokens) == len(questions)
    assert asking.question("v1", [lost.model_copy(update={"machines": 0})], 2, 20) is None
    assert Confirmation().question("v1", [lost], 20, 20) is None


# Modes


def test_the_lowest_lock_decides_else_the_highest_layer() -> None:
    low, high = Mode(2, 1, "LOCKDOWN", locked=False), Mode(3, 2, "MONITOR", locked=False)
    assert mode_of([]) == "MONITOR"
    assert mode_of([high, low]) == "MONITOR"
    assert mode_of([high, Mode(2, 1, "LOCKDOWN", locked=True)]) == "LOCKDOWN"
    assert mode_of([Mode(3, 2, "MONITOR", locked=True), Mode(2, 1, "LOCKDOWN", locked=True)]) == "LOCKDOWN"


def left(before: State, after: State, fleet: int) -> int:
    return asyncio.run(leaving(before, after, fleet))


def test_macs_leave_lockdown_only_where_another_mode_is_in_force_afterwards() -> None:
    everywhere = Mode(GLOBAL_LAYER, 0, "LOCKDOWN", locked=False)
    pilots = Mode(2, 1, "MONITOR", locked=False)
    own = Mode(3, MACHINE_RANK, "LOCKDOWN", locked=False)
    members = {2: {1, 2, 3}, 3: {3}}
    assert left(([everywhere], members), ([everywhere, pilots], members), 10) == 3
    assert left(([everywhere, own], members), ([everywhere, own, pilots], members), 10) == 2
    assert left(([everywhere, pilots, own], members), ([pilots, own], members), 10) == 7
    assert left(([everywhere, pilots], {2: {1}}), ([everywhere, pilots], {2: {1, 4}}), 10) == 1
    assert left(([pilots], members), ([everywhere], members), 10) == 0


def plainly(state: State, fleet: range) -> set[int]:
    """Return the Macs that are in Lockdown."""
    modes, members = state
    return {
        mac
        for mac in fleet
        if mode_of(m for m in modes if m.layer == GLOBAL_LAYER or mac in members.get(m.layer, ()))
        == "LOCKDOWN"
    }


@pytest.mark.parametrize("seed", range(20))
def test_macs_that_leave_lockdown_are_counted_as_one_by_one(seed: int) -> None:
    chance = random.Random(seed)
    fleet = range(3000)

    def state() -> State:
        layers = chance.sample(range(1, 9), chance.randint(0, 6))
        assert GLOBAL_LAYER == 1
        modes = [
            Mode(layer, layer, chance.choice(["MONITOR", "LOCKDOWN"]), locked=chance.random() < 0.2)
            for layer in layers
        ]
        return modes, {layer: set(chance.sample(fleet, chance.randint(0, 2500))) for layer in range(2, 9)}

    before, after = state(), state()
    gone = plainly(before, fleet) - plainly(after, fleet)
    assert left(before, after, len(fleet)) == len(gone)


# The interface


@pytest.fixture
def careful(server: RunningServer) -> Iterator[RestClient]:
    """An administrator who confirms nothing unseen, on a server with twenty Macs."""
    mac = SimulatedMac(server.url, machine_id="MAC-1", hostname="lab-1")
    mac.sync()
    mac.close()
    execute(
        server.dsn,
        "insert into machine (machine_id, hostname, primary_user, enrolled_at) "
        "select 'MAC-' || n, case when n <= 6 then 'lab-' else 'desk-' end || n, 'user' || n, now() "
        "from generate_series(2, $1) n",
        FLEET,
    )
    execute(
        server.dsn,
        "insert into machine_sync (machine_id) select id from machine where machine_id <> 'MAC-1'",
    )
    with server.client() as client:
        body = {"username": ADMIN[0], "password": ADMIN[1]}
        assert client.post("/api/v1/auth/login", json=body).is_success
        client.careful = True
        yield client


def send(client: RestClient, method: str, path: str, body: object = None, **params: str) -> httpx.Response:
    """Send a change of the present version."""
    url = httpx.URL(f"/api/v1{path}").copy_merge_params(params)
    headers = {"If-Match": client.version(f"/api/v1{path}")} if method != "POST" else {}
    return client.request(method, url, json=body, headers=headers)


def question(response: httpx.Response) -> dict[str, Any]:
    """Return what a change was answered with, in short."""
    found = asked(response)
    assert found is not None, f"{response.status_code} {response.text}"
    return {reason["kind"]: reason["machines"] for reason in found["reasons"]}


def confirmed(client: RestClient, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Send a change, confirm its question, and return the question."""
    first = send(client, method, path, body)
    found = asked(first)
    assert found is not None, f"{first.status_code} {first.text}"
    second = send(client, method, path, body, confirm=found["token"])
    assert second.is_success, second.text
    return question(first)


def lockdown(client: RestClient, layer: str, mode: str = "LOCKDOWN") -> None:
    """Define a layer's mode, whatever is asked."""
    client.careful = False
    path = f"/api/v1/settings/layer?layer={layer}"
    assert client.patch(path, json={"values": {"client_mode": mode}}).is_success
    client.careful = True


def hurried(client: RestClient, name: str, **content: object) -> int:
    """Create a tag."""
    return tag(client, name, **content)


def test_leaving_lockdown_asks_with_the_macs_that_leave(careful: RestClient) -> None:
    lockdown(careful, "global")
    lockdown(careful, "user:user3")
    path, body = "/settings", {"client_mode": "MONITOR"}
    assert confirmed(careful, "PATCH", path, body) == {"leaves_lockdown": FLEET - 1, "many_machines": FLEET}


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PATCH", {"values": {"client_mode": "MONITOR"}}),
        ("PATCH", {"values": {"client_mode": None}}),
        ("PATCH", {"unset": ["client_mode"]}),
        ("PUT", {"values": {}, "locked": []}),
        ("PUT", {"values": {"client_mode": "STANDALONE"}, "locked": []}),
    ],
)
def test_a_tag_leaves_lockdown_with_members_that_never_synced(
    careful: RestClient, method: str, body: object
) -> None:
    hurried(careful, "lab", predicate="hostname.startsWith('lab-')")
    lockdown(careful, "tag:lab")
    path = "/settings/layer?layer=tag:lab"
    assert confirmed(careful, method, path, body) == {"leaves_lockdown": 6, "many_machines": 6}


def test_a_mac_leaves_lockdown_by_a_layer_that_it_did_not_have(careful: RestClient) -> None:
    lockdown(careful, "global")
    for layer in ("machine:MAC-9", "user:USER9", "user:user10"):
        path = f"/settings/layer?layer={layer}"
        body = {"values": {"client_mode": "MONITOR"}}
        expected = {"leaves_lockdown": 1} if layer != "user:USER9" else None
        if expected is None:
            assert send(careful, "PATCH", path, body).is_success, "it is in Monitor mode already"
        else:
            assert confirmed(careful, "PATCH", path, body) == expected


def test_a_tag_that_goes_takes_its_lockdown_and_its_blocks_along(careful: RestClient) -> None:
    number = hurried(careful, "lab", predicate="hostname.startsWith('lab-')")
    lockdown(careful, "tag:lab")
    careful.careful = False
    add_rule(careful, sha(1), BLOCK, layer="tag:lab")
    add_rule(careful, sha(2), ALLOW, layer="tag:lab")
    careful.careful = True
    expected = {"leaves_lockdown": 6, "loosens": 6, "many_machines": 6}
    assert confirmed(careful, "DELETE", f"/tags/{number}") == expected
    assert send(careful, "DELETE", f"/tags/{hurried(careful, 'empty', predicate='true')}").is_success


def test_members_leave_lockdown_by_a_new_definition(careful: RestClient) -> None:
    number = hurried(careful, "lab", predicate="hostname.startsWith('lab-')")
    lockdown(careful, "tag:lab")
    path = f"/tags/{number}"
    narrower = {"predicate": "hostname == 'lab-1' || hostname == 'lab-2'"}
    assert confirmed(careful, "PATCH", path, narrower) == {"leaves_lockdown": 4, "many_machines": 4}
    assert send(careful, "PATCH", path, {"description": "no Mac notices"}).is_success
    assert confirmed(careful, "PATCH", path, {"predicate": "true"}) == {"many_machines": FLEET - 2}


def test_one_mac_leaves_lockdown_by_its_membership(careful: RestClient) -> None:
    low, high = hurried(careful, "low"), hurried(careful, "high")
    lockdown(careful, "tag:low")
    assert send(careful, "PUT", f"/tags/{low}/members/MAC-7").is_success
    lockdown(careful, "tag:high", "MONITOR")
    assert confirmed(careful, "PUT", f"/tags/{high}/members/MAC-7") == {"leaves_lockdown": 1}
    assert send(careful, "DELETE", f"/tags/{high}/members/MAC-7").is_success
    assert confirmed(careful, "DELETE", f"/tags/{low}/members/MAC-7") == {"leaves_lockdown": 1}


def test_macs_leave_lockdown_by_another_order(careful: RestClient) -> None:
    low, high = hurried(careful, "low"), hurried(careful, "high")
    lockdown(careful, "tag:low", "MONITOR")
    careful.careful = False
    for number in (low, high):
        for mac in ("MAC-1", "MAC-2", "MAC-3"):
            assert careful.put(f"/api/v1/tags/{number}/members/{mac}").is_success
    careful.careful = True
    lockdown(careful, "tag:high")
    assert confirmed(careful, "PUT", "/tags/order", {"tags": [high, low]}) == {
        "leaves_lockdown": 3,
        "many_machines": 3,
    }
    assert confirmed(careful, "PUT", "/tags/order", {"tags": [low, high]}) == {"many_machines": 3}


def test_a_block_that_goes_asks_and_other_rules_do_not(careful: RestClient) -> None:
    number = hurried(careful, "two")
    for mac in ("MAC-1", "MAC-2"):
        assert send(careful, "PUT", f"/tags/{number}/members/{mac}").is_success
    rule = add_rule(careful, sha(1), BLOCK, layer="tag:two", locked=True)
    path = f"/rules/{rule}"
    assert send(careful, "PATCH", path, {"comment": "no Mac notices"}).is_success
    assert send(careful, "PATCH", path, {"custom_msg": "still blocks"}).is_success
    assert confirmed(careful, "PATCH", path, {"locked": False}) == {"loosens": 2}
    assert confirmed(careful, "PATCH", path, {"policy": "CEL", "cel_expr": "args.size() > 1"}) == {
        "loosens": 2
    }
    assert send(careful, "PATCH", path, {"policy": "SILENT_BLOCKLIST"}).is_success
    for policy in (ALLOW, "NONE"):
        assert confirmed(careful, "PATCH", path, {"policy": policy}) == {"loosens": 2}
        assert send(careful, "PATCH", path, {"policy": BLOCK}).is_success
    assert confirmed(careful, "DELETE", path) == {"loosens": 2}
    assert send(careful, "DELETE", f"/rules/{add_rule(careful, sha(2), ALLOW, layer='tag:two')}").is_success
    late = "2099-01-01T00:00:00Z"
    waiting = add_rule(careful, sha(3), BLOCK, layer="tag:two", starts_at=late)
    assert send(careful, "DELETE", f"/rules/{waiting}").is_success


def test_what_concerns_many_macs_asks(careful: RestClient) -> None:
    body = {"rule_type": "BINARY", "identifier": sha(1), "policy": BLOCK}
    assert confirmed(careful, "POST", "/rules", body) == {"many_machines": FLEET}
    assert confirmed(careful, "PATCH", "/settings", {"batch_size": 9}) == {"many_machines": FLEET}
    assert send(careful, "PATCH", "/settings", {"batch_size": 9}).is_success, "nothing changes"
    assert send(
        careful, "PATCH", "/settings/layer?layer=user:user2", {"values": {"batch_size": 9}}
    ).is_success


def test_an_import_asks_for_the_blocks_that_go(careful: RestClient) -> None:
    for name, macs in (("one", ("MAC-1", "MAC-2")), ("other", ("MAC-2", "MAC-3"))):
        number = hurried(careful, name)
        for mac in macs:
            assert send(careful, "PUT", f"/tags/{number}/members/{mac}").is_success
    add_rule(careful, sha(1), BLOCK, layer="tag:one")
    add_rule(careful, sha(2), BLOCK, layer="tag:one")
    add_rule(careful, sha(3), ALLOW, layer="tag:other")
    content = f"layer,rule_type,identifier,policy\ntag:one,BINARY,{sha(1)},ALLOWLIST\n"
    body = {"format": "csv", "content": content, "dry_run": False, "remove_missing": True}
    assert confirmed(careful, "POST", "/rules/import", body) == {"loosens": 2}
    more = f"layer,rule_type,identifier,policy\ntag:other,BINARY,{sha(3)},BLOCKLIST\n"
    assert send(careful, "POST", "/rules/import", {**body, "content": more}).is_success
    everywhere = f"rule_type,identifier,policy,layer\nBINARY,{sha(4)},BLOCKLIST,global\n"
    assert confirmed(careful, "POST", "/rules/import", {**body, "content": everywhere}) == {
        "many_machines": FLEET
    }


def test_a_question_is_asked_again_when_its_answer_is_another_one(
    server: RunningServer, careful: RestClient
) -> None:
    number = hurried(careful, "lab", predicate="hostname.startsWith('lab-')")
    rule = add_rule_confirmed(careful, "tag:lab")
    path = f"/rules/{rule}"
    first = send(careful, "DELETE", path)
    token = first.json()["confirm"]["token"]
    assert question(first)["loosens"] == 6
    execute(server.dsn, "update machine set hostname = 'lab-9' where machine_id = 'MAC-9'")
    second = send(careful, "DELETE", path, confirm=token)
    assert question(second)["loosens"] == 7
    assert "not what was confirmed" in second.json()["detail"]
    for wrong in ("7", "7-", "true", "x" * 100):
        assert send(careful, "DELETE", path, confirm=wrong).status_code == httpx.codes.CONFLICT
    assert value(server.dsn, "select count(*) from rule where removed_at is null") == 1
    assert send(careful, "DELETE", path, confirm=second.json()["confirm"]["token"]).is_success
    other = add_rule_confirmed(careful, "tag:lab")
    token = send(careful, "DELETE", f"/rules/{other}").json()["confirm"]["token"]
    careful.careful = False
    assert careful.patch(f"/api/v1/rules/{other}", json={"custom_msg": "another version"}).is_success
    careful.careful = True
    stale = send(careful, "DELETE", f"/rules/{other}", confirm=token)
    assert question(stale)["loosens"] == 7
    assert number


def add_rule_confirmed(client: RestClient, layer: str) -> int:
    """Create a blocking rule, whatever is asked."""
    client.careful = False
    rule = add_rule(client, sha(1), BLOCK, layer=layer)
    client.careful = True
    return rule
