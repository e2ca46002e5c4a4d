"""Asks before a change that takes Macs out of Lockdown, loosens the policy or concerns many Macs.

Counting can take time, so it happens before the policy is locked; the version is compared again under it.
"""

from collections.abc import Sequence

from santaserver.confirmation import ConfirmQuestion, ConfirmReason
from santaserver.layers import member_repository as repository
from santaserver.layers.lockdown import LOCKDOWN, Members, Mode, leaving, members_of_layers, present_modes
from santaserver.layers.members import count_members
from santaserver.layers.schemas import GLOBAL
from santaserver.scope import Scope
from santaserver.unit_of_work import UnitOfWork


async def ask_about_layer(
    work: UnitOfWork,
    scope: Scope,
    layer: str,
    version: str,
    *,
    loosened: str | None = None,
    reasons: Sequence[ConfirmReason] = (),
) -> None:
    """Ask before a change for all Macs of a layer; `loosened` says what they lose by it."""
    if not work.confirmation.asks:
        return
    fleet = await repository.fleet_size(work.connection)
    macs = fleet if layer == GLOBAL else await count_members(work.connection, scope, layer)
    found = [*reasons, *([loosens(loosened, macs)] if loosened else [])]
    work.confirmation.demand(work.confirmation.question(version, found, macs, fleet))


async def ask(work: UnitOfWork, version: str, reasons: Sequence[ConfirmReason], machines: int) -> None:
    """Ask before a change that concerns this many Macs."""
    if work.confirmation.asks:
        work.confirmation.demand(await question(work, version, reasons, machines))


async def question(
    work: UnitOfWork, version: str, reasons: Sequence[ConfirmReason], machines: int
) -> ConfirmQuestion | None:
    """Return what to ask."""
    fleet = await repository.fleet_size(work.connection)
    return work.confirmation.question(version, reasons, machines, fleet)


async def out_of_lockdown(
    work: UnitOfWork,
    modes: Sequence[Mode],
    *,
    members: Members | None = None,
    only: int | None = None,
) -> ConfirmReason:
    """Return how many Macs other modes, or other members of some layers, take out of Lockdown.

    `only` limits the count to one Mac.
    """
    connection = work.connection
    before = await present_modes(connection)
    macs = 0
    if any(mode.mode == LOCKDOWN for mode in before):
        layers = {mode.layer for mode in (*before, *modes)}
        present = await members_of_layers(connection, layers, only)
        fleet = await repository.fleet_size(connection) if only is None else 1
        after: Members = {**present, **(members or {})}
        macs = await leaving((before, present), (modes, after), fleet)
    return ConfirmReason(
        kind="leaves_lockdown",
        machines=macs,
        detail=f"{_macs(macs, 'leaves', 'leave')} Lockdown: programs without a rule can run there again",
    )


def loosens(what: str, machines: int) -> ConfirmReason:
    """Return the reason for a change that lets run what is blocked."""
    return ConfirmReason(kind="loosens", machines=machines, detail=f"{what} on {_macs(machines)}")


def _macs(number: int, one: str = "", many: str = "") -> str:
    verb = one if number == 1 else many
    return f"{number} Mac{'' if number == 1 else 's'} {verb}".strip()
