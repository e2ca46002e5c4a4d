"""The endpoints of the page that Santa's block dialog opens. No account is needed."""

from typing import Annotated

from fastapi import Path, Query, Response

from santaserver.authorization import public, require
from santaserver.blocked import service
from santaserver.blocked.schemas import BlockedProgram, Contact, ContactUpdate
from santaserver.deps import CurrentUser, IfMatchDep, NowDep, StateDep, WorkDep
from santaserver.errors import CHANGING, Forbidden, Unauthorized, Unprocessable, responses
from santaserver.reads import tagged
from santaserver.routing import AreaRouter

STRANGERS = "strangers"
"""All of them together get as many connections as one user."""

router = AreaRouter(prefix="/blocked", tags=["blocked"])


PUBLIC = public("the page that Santa's block dialog opens")


@router.get("/contact", dependencies=[PUBLIC])
async def get_contact(state: StateDep, response: Response) -> Contact:
    """Show the contact for questions about a blocked program."""
    async with state.database.read(STRANGERS) as connection:
        return tagged(response, await service.get_contact(connection))


@router.put(
    "/contact",
    dependencies=[require("settings:write", everywhere=True)],
    responses=CHANGING | responses(Unauthorized, Forbidden, Unprocessable),
)
async def replace_contact(
    contact: ContactUpdate,
    expected: IfMatchDep,
    work: WorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> Contact:
    """Replace the contact that the public page about a blocked program shows."""
    return tagged(response, await service.replace_contact(work, contact, expected, user, now))


@router.get("/{sha256}", dependencies=[PUBLIC])
async def blocked_program(
    state: StateDep,
    sha256: Annotated[str, Path(pattern="^[0-9A-Fa-f]{64}$", description="Santa's %file_identifier%")],
    machine_id: Annotated[
        str, Query(max_length=1000, description="Santa's %machine_id%: only what happened on this Mac")
    ] = "",
) -> BlockedProgram:
    """Show what was blocked and by which kind of rule, but not where, when or for whom."""
    async with state.database.read(STRANGERS) as connection:
        return await service.blocked_program(connection, sha256, machine_id.replace("\0", ""))
