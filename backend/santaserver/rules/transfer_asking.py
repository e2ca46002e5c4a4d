"""Asks before an import loosens the policy or concerns many Macs."""

from dataclasses import dataclass

from santaserver.db import Connection
from santaserver.layers.asking import ask, loosens
from santaserver.layers.lockdown import members_of_layers
from santaserver.layers.member_repository import fleet_size
from santaserver.policy.layer_ranks import GLOBAL_LAYER
from santaserver.preconditions import entity_tag
from santaserver.rules import transfer_staging as staging
from santaserver.rules.transfer_schemas import ImportPlan
from santaserver.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ImportReach:
    """What a planned import is asked about, without the Macs, which take time to count."""

    counts: tuple[int, int, int]
    loosened: int
    loosened_layers: frozenset[int]
    changed_layers: frozenset[int]
    new_layers: frozenset[str]


async def reach_of(connection: Connection, plan: ImportPlan) -> ImportReach:
    """Read it from the comparison of the file with what is stored."""
    loosened, layers = await staging.loosened(connection)
    return ImportReach(
        (plan.added, plan.changed, plan.removed),
        loosened,
        frozenset(layers),
        frozenset(await staging.changed_layers(connection)),
        frozenset(await staging.new_layers(connection)),
    )


async def ask_before_import(work: UnitOfWork, reach: ImportReach, reverts: int | None = None) -> None:
    """Ask before a planned import, or before a change is taken back; the steps are staged and compared."""
    if not work.confirmation.asks:
        return
    connection = work.connection
    reasons = []
    if reach.loosened:
        one = reach.loosened == 1
        what = "1 rule no longer blocks" if one else f"{reach.loosened} rules no longer block"
        reasons.append(loosens(what, await _count(connection, reach.loosened_layers, set())))
    new = await staging.macs_of(connection, reach.new_layers)
    macs = await _count(connection, reach.changed_layers, new)
    await ask(work, _version(reach, reverts), reasons, macs)


def _version(reach: ImportReach, reverts: int | None) -> str:
    layers = (reach.loosened_layers, reach.changed_layers, reach.new_layers)
    return entity_tag("rule", "*", reach.counts, *(sorted(names) for names in layers), reverts)


async def _count(connection: Connection, layers: frozenset[int], others: set[int]) -> int:
    if GLOBAL_LAYER in layers:
        return await fleet_size(connection)
    members = await members_of_layers(connection, layers)
    return len(others.union(*members.values()))
