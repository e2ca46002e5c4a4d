"""The way of a sync that nothing is new for: no lock, no transaction, at most one write for a stage.

Each stage reads the machine's row and writes it only if it is still the same; what a stage did while
another one changed the row is void, and it begins anew in service.py, under the row's lock. So does
whatever takes more than one write. Decisions are service.py's own.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from santaserver.policy.states import PolicyState
from santaserver.protocol.messages import PostflightRequest, PreflightRequest, RuleDownloadRequest
from santaserver.sync import repository, service
from santaserver.sync.membership import facts_key
from santaserver.sync.pages import Page
from santaserver.sync.repository import MachineRow, Overtaken
from santaserver.sync.service import Stage


async def preflight(stage: Stage, machine_id: str, request: PreflightRequest) -> bytes | None:
    """Begin a sync that sends nothing to a machine that says what it said last time."""
    machine = await repository.find_machine(stage.connection, machine_id)
    if machine is None or machine.signature is None or not _settled(stage, machine, request):
        return None
    request = service.complete(request, machine)
    head = machine.head
    key = facts_key(request, machine.enrollment, head.layer_version)
    if key != machine.facts_key:
        return None
    target = PolicyState(machine.signature, head.seq)
    opening = await service.opening_of(stage, machine, request, target, key, conflict=False)
    return await service.begin(stage, machine, request, opening, head) if opening.idle else None


async def rule_download(stage: Stage, machine_id: str, request: RuleDownloadRequest) -> Page | bytes | None:
    """Serve a page of the open session."""
    machine = await repository.find_machine(stage.connection, machine_id)
    if machine is None or machine.known.pending is None:
        return None
    return await service.page(stage, machine, request)


async def postflight(stage: Stage, machine_id: str, request: PostflightRequest) -> bytes | None:
    """Conclude a sync that sent nothing."""
    machine = await repository.find_machine(stage.connection, machine_id)
    if machine is None or not _idle(machine):
        return None
    return await service.conclude(stage, machine, request)


def _settled(stage: Stage, machine: MachineRow, request: PreflightRequest) -> bool:
    """Tell whether nothing has to be written down or put in force before the decision."""
    due = machine.head.next_change_at
    return (
        _idle(machine)
        and (stage.enrollment is None or stage.enrollment.id == machine.enrollment)
        and (not request.serial_number or repository.clip(request.serial_number) == machine.serial)
        and (due is None or due > stage.now)
    )


def _idle(machine: MachineRow) -> bool:
    return machine.known.pending is None or machine.known.pending.idle


async def attempt(
    way: Callable[[Stage, str, Any], Awaitable[Page | bytes | None]],
    stage: Stage,
    machine_id: str,
    request: object,
) -> Page | bytes | None:
    """Go one of these ways; None when it leads nowhere and nothing was written."""
    try:
        return await way(stage, machine_id, request)
    except Overtaken:
        return None
