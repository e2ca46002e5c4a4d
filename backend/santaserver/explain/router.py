"""Explain a Mac's rules and settings."""

from typing import Annotated

from fastapi import Query

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, NowDep
from santaserver.errors import BadRequest, Forbidden, NotFound, Unauthorized, Unprocessable, responses
from santaserver.explain import service
from santaserver.explain.schemas import EffectiveRule, Explanation, SettingsExplanation
from santaserver.inputs import Stored
from santaserver.paging import DEFAULT_LIMIT, CursorParam, LimitParam, Page, SearchParam
from santaserver.routing import AreaRouter
from santaserver.scope import Scope

router = AreaRouter(
    prefix="/explain", tags=["explain"], responses=responses(Unauthorized, Forbidden, NotFound)
)

MayRead = Annotated[Scope, require("machine:read")]

MachineParam = Annotated[Stored, Query(max_length=1000)]
IdentifierParam = Annotated[Stored | None, Query(max_length=1000)]


@router.get("/program", responses=responses(Unprocessable))
async def explain_program(
    scope: MayRead,
    connection: ConnectionDep,
    now: NowDep,
    machine_id: MachineParam,
    cdhash: IdentifierParam = None,
    sha256: IdentifierParam = None,
    signing_id: IdentifierParam = None,
    certificate: IdentifierParam = None,
    team_id: IdentifierParam = None,
) -> Explanation:
    """Explain which rule decides about a program on a machine, and which rules are overridden, layer by
    layer.
    """
    return await service.explain(
        connection,
        scope,
        machine_id,
        {
            "CDHASH": cdhash,
            "BINARY": sha256,
            "SIGNINGID": signing_id,
            "CERTIFICATE": certificate,
            "TEAMID": team_id,
        },
        now,
    )


@router.get("/rules", responses=responses(BadRequest))
async def list_effective_rules(
    scope: MayRead,
    connection: ConnectionDep,
    machine_id: MachineParam,
    cursor: CursorParam = None,
    limit: LimitParam = DEFAULT_LIMIT,
    q: SearchParam = "",
) -> Page[EffectiveRule]:
    """List the rules that a machine should have by type and identifier, each with its layer."""
    return await service.effective_rules(connection, scope, machine_id, cursor, limit, q)


@router.get("/settings")
async def explain_settings(
    scope: MayRead, connection: ConnectionDep, now: NowDep, machine_id: MachineParam
) -> SettingsExplanation:
    """Explain which layer each of a machine's settings comes from."""
    return await service.explain_settings(connection, scope, machine_id, now)
