"""Ask why a Mac has the rules and settings that it has."""

from typing import Annotated

from fastapi import APIRouter, Query

from santaserver.deps import CurrentUser, NowDep, SessionDep
from santaserver.errors import NotFound, Unauthorized, Unprocessable, responses
from santaserver.explain import service
from santaserver.explain.schemas import Explanation, SettingsExplanation

router = APIRouter(prefix="/explain", tags=["explain"], responses=responses(Unauthorized, NotFound))

MachineParam = Annotated[str, Query(max_length=1000)]
IdentifierParam = Annotated[str | None, Query(max_length=1000)]


@router.get("/program", responses=responses(Unprocessable))
async def explain_program(
    session: SessionDep,
    _: CurrentUser,
    machine_id: MachineParam,
    cdhash: IdentifierParam = None,
    sha256: IdentifierParam = None,
    signing_id: IdentifierParam = None,
    certificate: IdentifierParam = None,
    team_id: IdentifierParam = None,
) -> Explanation:
    """Explain which rule decides about a program on a machine, and which rules lose, layer by layer."""
    return await service.explain(
        session,
        machine_id,
        {
            "CDHASH": cdhash,
            "BINARY": sha256,
            "SIGNINGID": signing_id,
            "CERTIFICATE": certificate,
            "TEAMID": team_id,
        },
    )


@router.get("/settings")
async def explain_settings(
    session: SessionDep, _: CurrentUser, now: NowDep, machine_id: MachineParam
) -> SettingsExplanation:
    """Explain which layer each of a machine's settings comes from."""
    return await service.explain_settings(session, machine_id, now)
