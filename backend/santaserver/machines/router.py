"""List machines, show one, order a clean sync."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Query, Response

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, NowDep, StateDep, WorkDep
from santaserver.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
    Unprocessable,
    responses,
)
from santaserver.inputs import MAX_ROW_ID, Time
from santaserver.machine_path import MachinePath
from santaserver.machines import service
from santaserver.machines.policy_at import PolicyQuery, policy_at
from santaserver.machines.policy_schemas import MachinePolicyThen
from santaserver.machines.schemas import CleanSync, Machine, MachineDetail, MachineTag, MonitorMode
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page, SearchParam
from santaserver.reads import json_response
from santaserver.routing import AreaRouter
from santaserver.scope import Scope

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
) -> Response:
    """List machines by host name."""
    return json_response(await service.list_machines(connection, scope, now, cursor, limit, q))


@router.post("/{machine_id:path}/clean-sync", status_code=HTTPStatus.ACCEPTED, responses=responses(NotFound))
async def order_clean_sync(
    machine_id: MachinePath,
    order: CleanSync,
    scope: MayWrite,
    work: WorkDep,
    state: StateDep,
    user: CurrentUser,
    now: NowDep,
) -> MachineDetail:
    """Order a clean sync, which rebuilds the machine's rule table; the Mac drops events not yet uploaded."""
    return await service.order_clean_sync(work, scope, state.caches, machine_id, order.kind, user, now)


@router.post("/{machine_id:path}/monitor-mode", responses=responses(NotFound, Conflict, Unprocessable))
async def start_monitor_mode(
    machine_id: MachinePath,
    order: MonitorMode,
    scope: MayWrite,
    work: WorkDep,
    state: StateDep,
    user: CurrentUser,
    now: NowDep,
) -> MachineDetail:
    """Switch the machine to MONITOR mode for a limited time, from its next sync on."""
    return await service.start_monitor_mode(work, scope, state.caches, machine_id, order, user, now)


@router.delete("/{machine_id:path}/monitor-mode", responses=responses(NotFound))
async def end_monitor_mode(
    machine_id: MachinePath, scope: MayWrite, work: WorkDep, state: StateDep, user: CurrentUser, now: NowDep
) -> MachineDetail:
    """End the machine's monitor mode early, at its next sync."""
    return await service.end_monitor_mode(work, scope, state.caches, machine_id, user, now)


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


@router.get("/{machine_id:path}/tags", response_model=list[MachineTag], responses=responses(NotFound))
async def list_machine_tags(machine_id: MachinePath, scope: MayRead, connection: ConnectionDep) -> Response:
    """List the tags of a machine with the reasons for each, the highest first."""
    return json_response(await service.tags_of_machine(connection, scope, machine_id))


@router.get("/{machine_id:path}", responses=responses(NotFound))
async def get_machine(
    machine_id: MachinePath, scope: MayRead, connection: ConnectionDep, state: StateDep, now: NowDep
) -> MachineDetail:
    """Show one machine."""
    return await service.get_machine(connection, scope, state.caches, machine_id, now)
