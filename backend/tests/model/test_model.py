"""The model check, and that it would notice: see the package's docstring."""

import asyncio
import os

import pytest

from santaserver.rules import repository as rules
from santaserver.sync import delta
from tests.model.mutants import MUTANTS, Mutant, same_number_as_before
from tests.model.world import World, WrongError
from tests.support.postgres import Cluster

SYNCS = int(os.environ.get("SANTA_MODEL_SYNCS", "4000"))
"""Machine-syncs of the right algorithm."""
MUTANT_SYNCS = 12_000
"""Machine-syncs within which a wrong one has to be noticed; most are within some hundred."""

RULE = {"rule_type": "BINARY", "policy": "BLOCKLIST"}


@pytest.fixture(autouse=True)
def hard_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages, and writers that take their time between number and commit."""
    monkeypatch.setattr(delta, "PAGE_SIZE", 3)
    add_rule = rules.mark_removed

    async def slow(*arguments: object) -> None:
        await asyncio.sleep(0.01)
        await add_rule(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rules, "mark_removed", slow)


def test_every_mac_has_what_the_model_says(dsn: str) -> None:
    world = World(dsn, seed=1)
    asyncio.run(world.run(SYNCS))
    assert world.settled > 0
    for kind in ("NORMAL", "CLEAN", "CLEAN_ALL", "given up"):
        assert world.kinds[kind] > 0, kind


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_wrong_algorithm_is_noticed(
    cluster: Cluster, template: str, monkeypatch: pytest.MonkeyPatch, mutant: Mutant
) -> None:
    name = cluster.create(template)
    mutant(monkeypatch, cluster.dsn(name))
    with pytest.RaisesGroup(WrongError, flatten_subgroups=True, allow_unwrapped=True):
        asyncio.run(World(cluster.dsn(name), seed=2).run(MUTANT_SYNCS))
    cluster.drop(name)


@pytest.mark.parametrize("mutated", [False, True])
def test_only_its_own_number_of_rules_keeps_a_late_postflight_from_confirming(
    dsn: str, monkeypatch: pytest.MonkeyPatch, mutated: bool
) -> None:
    """Too rare to meet by chance: it takes a Mac that goes away between the last page and its postflight."""
    if mutated:
        same_number_as_before(monkeypatch, dsn)

    async def story() -> bool:
        world = World(dsn, seed=3)
        await world._begin()
        mac = world.macs[2]
        rule = await world._admin("POST", "/api/v1/rules", RULE | {"identifier": "a" * 64})
        await mac.sync()
        late = {"rules_received": 1, "rules_processed": 1, "syncType": "NORMAL", "rulesHash": mac._hash()}
        # As many rules as before, or this agent's counts would give the mistake away.
        await world._admin("PUT", f"/api/v1/rules/{rule['id']}", {"policy": "ALLOWLIST"})
        await mac._post("preflight", mac._report())
        page = await mac._post("ruledownload", {})
        assert [rule["policy"] for rule in page["rules"]][:1] == ["ALLOWLIST"]
        await mac._post("postflight", late)
        await mac.sync()
        await world.state.database.close()
        return mac.table["BINARY", "a" * 64][0] == "ALLOWLIST"

    assert asyncio.run(story()) is not mutated
