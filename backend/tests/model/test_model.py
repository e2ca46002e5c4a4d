"""The model check, and a test of the check itself: see the package's docstring."""

import asyncio
import os

import pytest

from tests.model.checks import WrongError
from tests.model.conditions import hard
from tests.model.mac import FAULTS, LATE, TORN
from tests.model.mutants import MUTANTS, Mutant, same_number_as_before
from tests.model.stacks import Served
from tests.model.world import World, direct
from tests.support.postgres import Cluster

SYNCS = int(os.environ.get("SANTA_MODEL_SYNCS", "800"))
"""Machine-syncs of the right algorithm."""
MUTANT_SYNCS = 12_000
"""Machine-syncs within which a wrong one has to be noticed; most are within some hundred."""

RULE = {"rule_type": "BINARY", "policy": "BLOCKLIST"}


@pytest.fixture(autouse=True)
def hard_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages, and writers that take their time between number and commit."""
    hard(monkeypatch.setattr)


def test_every_mac_has_what_the_model_says(dsn: str) -> None:
    world = World(direct(dsn), seed=1)
    asyncio.run(world.run(SYNCS))
    assert world.settled > 0
    for kind in ("NORMAL", "CLEAN", "CLEAN_ALL", "whole NORMAL", "whole CLEAN", "given up"):
        assert world.kinds[kind] > 0, kind
    for fault in (*FAULTS, LATE):
        assert world.faults[fault] > 0, fault


def test_every_mac_has_what_the_model_says_over_connections_cut_at_any_byte(dsn: str) -> None:
    world = World(lambda clock: Served(dsn, clock), seed=2)
    asyncio.run(world.run(SYNCS // 2))
    assert world.settled > 0
    assert world.faults[TORN] > 0


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_wrong_algorithm_is_noticed(
    cluster: Cluster, template: str, monkeypatch: pytest.MonkeyPatch, mutant: Mutant
) -> None:
    name = cluster.create(template)
    mutant(monkeypatch, cluster.dsn(name))
    with pytest.RaisesGroup(WrongError, flatten_subgroups=True, allow_unwrapped=True):
        asyncio.run(World(direct(cluster.dsn(name)), seed=2).run(MUTANT_SYNCS))
    cluster.drop(name)


@pytest.mark.parametrize("mutated", [False, True])
def test_only_its_own_number_of_rules_keeps_a_late_postflight_from_confirming(
    dsn: str, monkeypatch: pytest.MonkeyPatch, mutated: bool
) -> None:
    """Too rare to meet by chance: it takes a Mac that goes away between the last page and its postflight."""
    if mutated:
        same_number_as_before(monkeypatch, dsn)

    async def story() -> bool:
        world = World(direct(dsn), seed=3)
        await world.begin()
        mac = world.macs[2]
        line = world.stack.wire.line()
        rule = await world.admins.call("POST", "/api/v1/rules", RULE | {"identifier": "a" * 64})
        await mac.sync()
        late = {"rules_received": 1, "rules_processed": 1, "syncType": "NORMAL", "rulesHash": mac.hash()}
        # As many rules as before, or this agent's counts would give the mistake away.
        await world.admins.call("PUT", f"/api/v1/rules/{rule['id']}", {"policy": "ALLOWLIST"})
        await mac.post(line, "preflight", mac.report())
        page = await mac.post(line, "ruledownload", {})
        assert [rule["policy"] for rule in page["rules"]][:1] == ["ALLOWLIST"]
        await mac.post(line, "postflight", late)
        await mac.sync()
        await world.database.close()
        return mac.table["BINARY", "a" * 64][0] == "ALLOWLIST"

    assert asyncio.run(story()) is not mutated
