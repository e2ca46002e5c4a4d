"""The model check, and that it would notice: see the package's docstring."""

import asyncio
import os

import pytest

from santaserver.rules import repository as rules
from santaserver.sync import delta
from tests.model.mutants import MUTANTS, Mutant
from tests.model.world import World, WrongError
from tests.support.postgres import Cluster

SYNCS = int(os.environ.get("SANTA_MODEL_SYNCS", "4000"))
"""Machine-syncs of the right algorithm."""
MUTANT_SYNCS = 12_000
"""Machine-syncs within which a wrong one has to be noticed."""


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
