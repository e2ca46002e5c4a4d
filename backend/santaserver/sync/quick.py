"""The fast path of a sync without changes: no lock, no transaction, at most one write per stage.

Each stage reads the machine's row and writes it only if it is still the same; if another stage changed the
row in between, the stage starts over in service.py, under the row's lock. So does a stage that needs more
than one write. The decisions are those of service.py.

The credential is compared in memory: it is in the row that each stage reads. Whatever changes a credential
or retires the machine changes its sync state too, so that a stage that read before does not write after it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from santaserver.enrollment.credentials import Fit, compare
from santaserver.policy.states import PolicyState
from santaserver.protocol.messages import PostflightRequest, PreflightRequest, RuleDownloadRequest
from santaserver.sync import repository, service
from santaserver.sync.membership import membership_fingerprint
from santaserver.sync.pages import Page
from santaserver.sync.repository import MachineSnapshot, StaleRead
from santaserver.sync.service import SyncContext


async def preflight(context: SyncContext, machine_id: str, request: PreflightRequest) -> bytes | None:
    """Begin a sync that sends nothing to a machine with an unchanged report."""
    machine = await repository.find_machine(context.connection, machine_id)
    if machine is None or machine.signature is None or not _settled(context, machine, request):
        return None
    request = service.complete(request, machine)
    head = machine.head
    key = membership_fingerprint(request, machine.credential.enrollment, head.layer_version)
    if key != machine.membership_fingerprint:
        return None
    target = PolicyState(machine.signature, head.seq)
    new = await service.new_session_of(context, machine, request, target, key, head, conflict=False)
    return await service.begin(context, machine, request, new, head) if new.idle else None


async def rule_download(
    context: SyncContext, machine_id: str, request: RuleDownloadRequest
) -> Page | bytes | None:
    """Serve a page of the open session."""
    machine = await repository.find_machine(context.connection, machine_id)
    if machine is None or machine.known.pending is None or not _proven(context, machine):
        return None
    return await service.page(context, machine, request)


async def postflight(context: SyncContext, machine_id: str, request: PostflightRequest) -> bytes | None:
    """Conclude a sync that sent nothing."""
    machine = await repository.find_machine(context.connection, machine_id)
    if machine is None or not _idle(machine) or not _proven(context, machine):
        return None
    return await service.conclude(context, machine, request)


def _settled(context: SyncContext, machine: MachineSnapshot, request: PreflightRequest) -> bool:
    """Return whether nothing has to be stored or activated before the decision."""
    due = machine.head.next_change_at
    return (
        _idle(machine)
        and compare(machine.credential, context.shown) is Fit.SAME
        and context.secret in {None, machine.secret}
        and (not request.serial_number or repository.clip(request.serial_number) == machine.serial)
        and (due is None or due > context.now)
    )


def _proven(context: SyncContext, machine: MachineSnapshot) -> bool:
    """Return whether the request comes from the machine; if not, service.py says why."""
    return compare(machine.credential, context.shown) is not Fit.OTHER


def _idle(machine: MachineSnapshot) -> bool:
    return machine.known.pending is None or machine.known.pending.idle


async def attempt(
    way: Callable[[SyncContext, str, Any], Awaitable[Page | bytes | None]],
    context: SyncContext,
    machine_id: str,
    request: object,
) -> Page | bytes | None:
    """Try the fast path; None when it does not apply and nothing was written."""
    try:
        return await way(context, machine_id, request)
    except StaleRead:
        return None
