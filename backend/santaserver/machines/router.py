"""List machines, show one, order a clean sync."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Query, Response

from santaserver.authorization import require
from santaserver.current_user import User
from santaserver.deps import ConnectionDep, CurrentUser, IfMatchDep, NowDep, StateDep, WorkDep
from santaserver.errors import (
    CHANGING,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    Unauthorized,
    Unprocessable,
    responses,
)
from santaserver.inputs import MAX_ROW_ID, RowId, Time
from santaserver.machine_path import MachinePath
from santaserver.machines import fleet, service
from santaserver.machines.policy_at import PolicyQuery, policy_at
from santaserver.machines.policy_schemas import MachinePolicyThen
from santaserver.machines.repository import ListFilter
from santaserver.machines.schemas import (
    CleanSync,
    FleetAction,
    FleetOrder,
    FleetResult,
    Machine,
    MachineCount,
    MachineDetail,
    MachineTag,
    MonitorMode,
)
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page, SearchParam
from santaserver.reads import json_response, tagged
from santaserver.routing import AreaRouter
from santaserver.scope import Scope
from santaserver.state import AppState
from santaserver.unit_of_work import UnitOfWork

RetiredParam = Annotated[bool, Query(description="Retired machines instead of the others")]
SecretParam = Annotated[
    RowId | None,
    Query(description="Id of an enrollment secret: only machines that showed it at their last preflight"),
]
WithheldParam = Annotated[
    bool,
    Query(
        description="Only machines whose tags do not follow their report: what they need would be blocked. "
        "Each one's notices say why"
    ),
]

router = AreaRouter(prefix="/machines", tags=["machines"], responses=responses(Unauthorized, Forbidden))

MayRead = Annotated[Scope, require("machine:read")]
MayWrite = Annotated[Scope, require("machine:write")]


@router.get("", response_model=Page[Machine], responses=responses(BadRequest))
async def list_machines(
    scope: MayRead,
    connection: ConnectionDep,
    now: NowDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
    q: SearchParam = "",
    retired: RetiredParam = False,
    secret: SecretParam = None,
    withheld: WithheldParam = False,
) -> Response:
    """List machines by host name."""
    wanted = ListFilter(q, retired, withheld, secret)
    found = await service.list_machines(connection, scope, now, cursor, limit, wanted)
    return json_response(found)


@router.get("/count")
async def count_machines(
    scope: MayWrite,
    connection: ConnectionDep,
    q: SearchParam = "",
    retired: RetiredParam = False,
    withheld: WithheldParam = False,
) -> MachineCount:
    """Count the machines that an order with this filter concerns: those listed that one may change."""
    return await service.count_machines(connection, scope, ListFilter(q, retired, withheld))


@router.post("/actions", responses=responses(NotFound, PreconditionFailed, Unprocessable))
async def order_fleet_action(
    order: FleetOrder, scope: MayWrite, work: WorkDep, user: CurrentUser, now: NowDep
) -> FleetResult:
    """Release, retire, restore or delete many machines: those named, or those that a filter matches.

    A filter needs `count`, the number of machines that it matched when it was looked at; when it matches
    another number, nothing is changed.
    """
    return await fleet.order_many(work, scope, order, user, now)


@router.post("/{machine_id:path}/clean-sync", status_code=HTTPStatus.ACCEPTED, responses=responses(NotFound))
async def order_clean_sync(
    machine_id: MachinePath,
    order: CleanSync,
    scope: MayWrite,
    work: WorkDep,
    state: StateDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> MachineDetail:
    """Order a clean sync, which rebuilds the machine's rule table; the Mac drops events not yet uploaded."""
    ordered = await service.order_clean_sync(work, scope, state.caches, machine_id, order.kind, user, now)
    return tagged(response, ordered)


@router.post("/{machine_id:path}/monitor-mode", responses=CHANGING | responses(Conflict, Unprocessable))
async def start_monitor_mode(
    machine_id: MachinePath,
    order: MonitorMode,
    scope: MayWrite,
    expected: IfMatchDep,
    work: WorkDep,
    state: StateDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> MachineDetail:
    """Switch the machine to MONITOR mode for a limited time, from its next sync on."""
    changed = service.start_monitor_mode(work, scope, state.caches, machine_id, order, expected, user, now)
    return tagged(response, await changed)


@router.delete("/{machine_id:path}/monitor-mode", responses=CHANGING)
async def end_monitor_mode(
    machine_id: MachinePath,
    scope: MayWrite,
    expected: IfMatchDep,
    work: WorkDep,
    state: StateDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> MachineDetail:
    """End the machine's monitor mode early, at its next sync."""
    changed = service.end_monitor_mode(work, scope, state.caches, machine_id, expected, user, now)
    return tagged(response, await changed)


@router.get(
    "/{machine_id:path}/policy",
    response_model=MachinePolicyThen,
    responses=responses(BadRequest, NotFound, Unprocessable),
)
async def get_policy_at(
    machine_id: MachinePath,
    scope: MayRead,
    connection: ConnectionDep,
    state: StateDep,
    now: NowDep,
    at: Annotated[Time | None, Query(description="A time; either this or `seq`")] = None,
    seq: Annotated[
        int | None, Query(ge=0, le=MAX_ROW_ID, description="A policy number; either this or `at`")
    ] = None,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
) -> Response:
    """Show the rules and settings that a machine was to have at a moment, where they came from, and what it
    had confirmed.
    """
    query = PolicyQuery(at, seq, cursor, limit)
    keep = state.settings.retention
    return json_response(await policy_at(connection, scope, state.caches, machine_id, query, now, keep))


@router.post("/{machine_id:path}/release", responses=responses(NotFound))
async def release_machine(
    machine_id: MachinePath, scope: MayWrite, work: WorkDep, state: StateDep, user: CurrentUser, now: NowDep
) -> MachineDetail:
    """Let the machine's next preflight bring another enrollment's secret or client certificate."""
    return await _ordered(work, scope, state, machine_id, "release", user, now)


@router.delete("/{machine_id:path}/release", responses=CHANGING)
async def withdraw_release(
    machine_id: MachinePath,
    scope: MayWrite,
    expected: IfMatchDep,
    work: WorkDep,
    state: StateDep,
    user: CurrentUser,
    now: NowDep,
) -> MachineDetail:
    """Keep the machine's credential after all."""
    await service.lock_version(work.connection, scope, state.caches, machine_id, expected, now)
    return await _ordered(work, scope, state, machine_id, "withdraw_release", user, now)


@router.post("/{machine_id:path}/retire", responses=responses(NotFound))
async def retire_machine(
    machine_id: MachinePath, scope: MayWrite, work: WorkDep, state: StateDep, user: CurrentUser, now: NowDep
) -> MachineDetail:
    """Take the machine out of the fleet: its syncs are refused, its history stays."""
    return await _ordered(work, scope, state, machine_id, "retire", user, now)


@router.post("/{machine_id:path}/restore", responses=responses(NotFound))
async def restore_machine(
    machine_id: MachinePath, scope: MayWrite, work: WorkDep, state: StateDep, user: CurrentUser, now: NowDep
) -> MachineDetail:
    """Make a retired machine part of the fleet again; it keeps its credential."""
    return await _ordered(work, scope, state, machine_id, "restore", user, now)


async def _ordered(
    work: UnitOfWork,
    scope: Scope,
    state: AppState,
    machine_id: str,
    action: FleetAction,
    user: User,
    now: datetime,
) -> MachineDetail:
    await fleet.order_one(work, scope, machine_id, action, user, now)
    return await service.get_machine(work.connection, scope, state.caches, machine_id, now)


@router.delete("/{machine_id:path}", status_code=HTTPStatus.NO_CONTENT, responses=CHANGING)
async def delete_machine(
    machine_id: MachinePath,
    scope: MayWrite,
    expected: IfMatchDep,
    work: WorkDep,
    state: StateDep,
    user: CurrentUser,
    now: NowDep,
) -> None:
    """Forget the machine: it is no longer listed, and a later sync enrolls it again. Its events stay."""
    await service.lock_version(work.connection, scope, state.caches, machine_id, expected, now)
    await fleet.order_one(work, scope, machine_id, "delete", user, now)


@router.get("/{machine_id:path}/tags", response_model=list[MachineTag], responses=responses(NotFound))
async def list_machine_tags(machine_id: MachinePath, scope: MayRead, connection: ConnectionDep) -> Response:
    """List the tags of a machine with the reasons for each, the highest first."""
    return json_response(await service.tags_of_machine(connection, scope, machine_id))


@router.get("/{machine_id:path}", responses=responses(NotFound))
async def get_machine(
    machine_id: MachinePath,
    scope: MayRead,
    connection: ConnectionDep,
    state: StateDep,
    now: NowDep,
    response: Response,
) -> MachineDetail:
    """Show one machine."""
    return tagged(response, await service.get_machine(connection, scope, state.caches, machine_id, now))
