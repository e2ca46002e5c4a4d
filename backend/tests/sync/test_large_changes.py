"""Many sets of layers, and a large change for all of them: it is made once, and holds up no other sync."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest

from santaserver.policy import layer_log, preparation
from santaserver.sync import paging, router
from tests.support.postgres import START_LIMIT, Holder
from tests.support.santa_client import SimulatedMac, SyncResult
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, effective, give, sha, tag

LARGE = 20
SETS = 12
"""Sets of layers: more than there are connections for syncs."""


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "LARGE", LARGE)
    monkeypatch.setattr(layer_log, "PORTION", 7)
    monkeypatch.setattr(paging, "PAGE_SIZE", 10)


@pytest.fixture
def macs(
    server: RunningServer, admin: httpx.Client, request: pytest.FixtureRequest
) -> Iterator[list[SimulatedMac]]:
    """Macs with a tag each, which gives them a rule and an exception, and with a tag in common."""
    number = getattr(request, "param", SETS)
    common, *own = (tag(admin, name) for name in ("common", *(f"own {number}" for number in range(number))))
    store(admin, [row("tag:common", 5), *(one for number in range(number) for one in own_rows(number))])
    made = [SimulatedMac(server.url, serial=f"C02{number:09}") for number in range(number)]
    sync_all(made)
    for mac, tag_id in zip(made, own, strict=True):
        give(admin, common, mac)
        give(admin, tag_id, mac)
    sync_all(made)
    yield made
    for mac in made:
        mac.close()


def row(layer: str, number: int, policy: str = "BLOCKLIST", **more: object) -> dict[str, object]:
    return {"layer": layer, "rule_type": "BINARY", "identifier": sha(number), "policy": policy, **more}


def own_rows(number: int) -> list[dict[str, object]]:
    layer = f"tag:own {number}"
    return [row(layer, 1000 + number), row(layer, 100 + number, "ALLOWLIST", locked=bool(number % 2))]


def sync_all(macs: list[SimulatedMac]) -> list[SyncResult]:
    with ThreadPoolExecutor(len(macs)) as pool:
        return list(pool.map(lambda mac: mac.sync(), macs))


def import_rules(admin: httpx.Client, layer: str, first: int, number: int, policy: str = "BLOCKLIST") -> None:
    store(admin, [row(layer, first + place, policy) for place in range(number)])


def store(admin: httpx.Client, rows: list[dict[str, object]]) -> None:
    file = {"format": "json", "content": json.dumps(rows), "dry_run": False}
    response = admin.post("/api/v1/rules/import", json=file)
    if response.status_code == httpx.codes.CONFLICT:
        confirmed = {"confirm": response.json()["confirm"]["token"]}
        response = admin.post("/api/v1/rules/import", json=file, params=confirmed)
    assert response.status_code == httpx.codes.OK, response.text


@contextmanager
def preparation_held(patch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Hold what reads a large layer until the end of the block; yield the layers that were asked for."""
    asked: list[int] = []
    go_on = threading.Event()
    read = layer_log.versions

    async def held(connection: Any, key: Any, level: int) -> AsyncIterator[Any]:  # noqa: ANN401
        asked.append(key.layer)
        while not go_on.is_set():
            await connection.execute("select pg_sleep(0.01)")
        async for portion in read(connection, key, level):
            yield portion

    patch.setattr(layer_log, "versions", held)
    try:
        yield asked
    finally:
        go_on.set()


def test_an_import_for_all_is_read_once_for_all_sets_of_layers(
    admin: httpx.Client, macs: list[SimulatedMac], monkeypatch: pytest.MonkeyPatch
) -> None:
    import_rules(admin, "global", 90, 60)
    with preparation_held(monkeypatch) as asked:
        pass
    results = sync_all(macs)
    assert len(asked) == 1
    assert {result.kind for result in results} == {"NORMAL"}
    for number, mac in enumerate(macs):
        expected = {sha(90 + place): "BLOCKLIST" for place in range(60)}
        expected |= {sha(5): "BLOCKLIST", sha(1000 + number): "BLOCKLIST", sha(100 + number): "ALLOWLIST"}
        assert {identifier: rule[0] for (_, identifier), rule in mac.rules.items()} == expected
    assert [result.received for result in sync_all(macs)] == [0] * SETS


def test_macs_that_need_nothing_of_a_large_change_sync_while_it_is_prepared(
    server: RunningServer, admin: httpx.Client, macs: list[SimulatedMac], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = server.app.state.santa.limits.waiting_syncs
    free = waiting._free
    with closing(SimulatedMac(server.url)) as quiet, ThreadPoolExecutor(SETS) as pool:
        quiet.sync()
        import_rules(admin, "tag:common", 300, 50)
        with preparation_held(monkeypatch) as asked:
            syncs = [pool.submit(mac.sync) for mac in macs]
            Holder(START_LIMIT).until(lambda: free - waiting._free == SETS)
            assert quiet.sync().received == 0
            add_rule(admin, sha(7))
            assert quiet.sync().received > 0, "a small change comes at once"
            assert not any(sync.done() for sync in syncs)
        # The Macs' syncs began before the rule of the meantime.
        assert {sync.result().kind for sync in syncs} == {"NORMAL"}
        assert set(asked) == {asked[0]}
        assert waiting._free == free
        assert quiet.rules == {key: rule for key, rule in effective(admin).items() if key[1] == sha(7)}
    sync_all(macs)
    for mac in macs:
        assert {("BINARY", sha(300 + place)) for place in range(50)} < mac.rules.keys()


@pytest.mark.parametrize("macs", [1], indirect=True)
def test_who_waits_too_long_for_a_large_change_is_asked_to_come_again(
    admin: httpx.Client, macs: list[SimulatedMac], monkeypatch: pytest.MonkeyPatch
) -> None:
    import_rules(admin, "global", 300, 50)
    with preparation_held(monkeypatch):
        monkeypatch.setattr(router, "WAIT_TIMEOUT", 0.05)
        # The same as before: another client would get another set of rules, which is compared as a whole.
        refused = macs[0].post_raw("preflight", json.dumps(macs[0].preflight_body()).encode())
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert int(refused.headers["retry-after"]) > 0
    monkeypatch.setattr(router, "WAIT_TIMEOUT", START_LIMIT)
    macs[0].sync()
    assert {("BINARY", sha(300 + place)) for place in range(50)} < macs[0].rules.keys()


@pytest.mark.parametrize("macs", [3], indirect=True)
def test_large_changes_and_whole_sets_come_in_parts_too(
    server: RunningServer, admin: httpx.Client, macs: list[SimulatedMac]
) -> None:
    import_rules(admin, "global", 90, 60)
    sync_all(macs)
    import_rules(admin, "global", 95, 45, "ALLOWLIST")
    everybody = {number: "ALLOWLIST" if 95 <= number < 140 else "BLOCKLIST" for number in range(90, 150)}
    old = SimulatedMac(server.url, reports_hash=False)
    with closing(SimulatedMac(server.url)) as new, closing(old):
        for mac in (new, old):
            mac.sync()
            assert policies_of(mac) == everybody
            assert mac.sync().received == 0, "the counts that the server expects are the Mac's"
    sync_all(macs)
    for number, mac in enumerate(macs):
        own = {5: "BLOCKLIST", 1000 + number: "BLOCKLIST", 100 + number: "ALLOWLIST"}
        assert policies_of(mac) == everybody | own


def policies_of(mac: SimulatedMac) -> dict[int, str]:
    return {int(identifier, 16): rule[0] for (_, identifier), rule in mac.rules.items()}
