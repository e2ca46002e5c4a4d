"""Asks before an import loosens the policy or concerns many Macs."""

from santaserver.db import Connection
from santaserver.layers.asking import ask, loosens
from santaserver.layers.lockdown import members_of_layers
from santaserver.layers.member_repository import fleet_size
from santaserver.policy.layer_ranks import GLOBAL_LAYER
from santaserver.preconditions import entity_tag
from santaserver.rules import transfer_staging as staging
from santaserver.rules.transfer_schemas import ImportPlan
from santaserver.unit_of_work import UnitOfWork


async def ask_before_import(work: UnitOfWork, plan: ImportPlan) -> None:
    """Ask before a planned import; the file is staged and compared."""
    if not work.confirmation.asks:
        return
    connection = work.connection
    rules, layers = await staging.loosened(connection)
    reasons = []
    if rules:
        what = "1 rule no longer blocks" if rules == 1 else f"{rules} rules no longer block"
        reasons.append(loosens(what, await _count(connection, layers)))
    new = await staging.macs_of_new_layers(connection)
    macs = await _count(connection, await staging.changed_layers(connection), new)
    counts = (plan.added, plan.changed, plan.removed)
    await ask(work, entity_tag("rule", "*", plan.policy_seq, counts), reasons, macs)


async def _count(connection: Connection, layers: list[int], others: set[int] | None = None) -> int:
    if GLOBAL_LAYER in layers:
        return await fleet_size(connection)
    members = await members_of_layers(connection, layers)
    return len((others or set()).union(*members.values()))
