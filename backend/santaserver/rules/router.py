"""List, create, change and remove rules."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Query, Response

from santaserver.authorization import require
from santaserver.deps import (
    ConfirmedWorkDep,
    ConnectionDep,
    CurrentUser,
    GuardedWorkDep,
    IfMatchDep,
    NowDep,
    StateDep,
)
from santaserver.errors import (
    CHANGING,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
    Unprocessable,
    responses,
)
from santaserver.inputs import ReasonParam, RowId
from santaserver.layers.schemas import LayerName
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page, SearchParam
from santaserver.policy.targets import Policy, RuleType
from santaserver.reads import json_response, tagged
from santaserver.routing import AreaRouter
from santaserver.rules import reads, removed, service
from santaserver.rules.schemas import RemovedRule, Rule, RuleCreate, RulePatch, RuleUpdate
from santaserver.scope import Scope

router = AreaRouter(prefix="/rules", tags=["rules"], responses=responses(Unauthorized, Forbidden))

MayRead = Annotated[Scope, require("rule:read")]
MayWrite = Annotated[Scope, require("rule:write")]


@router.get("", response_model=Page[Rule], responses=responses(BadRequest, NotFound))
async def list_rules(
    scope: MayRead,
    connection: ConnectionDep,
    state: StateDep,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
    q: SearchParam = "",
    layer: Annotated[
        LayerName | None, Query(description="Only this layer's; without it, all layers'")
    ] = None,
    rule_type: Annotated[RuleType | None, Query()] = None,
    policy: Annotated[Policy | None, Query()] = None,
) -> Response:
    """List live rules, the newest first."""
    query = reads.RuleQuery(cursor, limit, q, layer, rule_type, policy)
    return json_response(await reads.list_rules(connection, scope, query, state.progress))


@router.post("", status_code=HTTPStatus.CREATED, responses=responses(NotFound, Conflict, Unprocessable))
async def create_rule(
    rule: RuleCreate,
    scope: MayWrite,
    work: ConfirmedWorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> Rule:
    """Create a rule; every Mac of its layer gets it at its next sync."""
    return tagged(response, await service.create_rule(work, scope, rule, user.actor, now))


@router.get("/removed", responses=responses(BadRequest))
async def list_removed_rules(
    scope: MayRead, connection: ConnectionDep, cursor: CursorParam = None, limit: LimitParam = DEFAULT_LIMIT
) -> Page[RemovedRule]:
    """List removed rules, the one removed last first, with the delivery of their removal."""
    return await removed.list_removed(connection, scope, cursor, limit)


@router.get("/{rule_id}", responses=responses(NotFound))
async def get_rule(rule_id: RowId, scope: MayRead, connection: ConnectionDep, response: Response) -> Rule:
    """Show one live rule."""
    return tagged(response, await service.get_rule(connection, scope, rule_id))


@router.put("/{rule_id}", responses=CHANGING | responses(Unprocessable))
async def update_rule(
    rule_id: RowId,
    rule: RuleUpdate,
    scope: MayWrite,
    expected: IfMatchDep,
    work: ConfirmedWorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> Rule:
    """Give a rule new content; all of it has to be in the request."""
    changed = await service.update_rule(work, scope, rule_id, rule, expected, user.actor, now)
    return tagged(response, changed)


@router.patch("/{rule_id}", responses=CHANGING | responses(Unprocessable))
async def patch_rule(
    rule_id: RowId,
    patch: RulePatch,
    scope: MayWrite,
    expected: IfMatchDep,
    work: ConfirmedWorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> Rule:
    """Change some of a rule; what the request leaves out stays."""
    changed = await service.update_rule(work, scope, rule_id, patch, expected, user.actor, now)
    return tagged(response, changed)


@router.delete("/{rule_id}", status_code=HTTPStatus.NO_CONTENT, responses=CHANGING | responses(Unprocessable))
async def remove_rule(
    rule_id: RowId,
    scope: MayWrite,
    expected: IfMatchDep,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    reason: ReasonParam = "",
) -> None:
    """Remove a rule; every Mac that has it gets the removal at its next sync."""
    await service.remove_rule(work, scope, rule_id, expected, user.actor, now, reason)
