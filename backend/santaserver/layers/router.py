"""List the layers that rules and settings belong to."""

from typing import Annotated, Literal

from fastapi import Query

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser
from santaserver.errors import Forbidden, NotFound, Unauthorized, responses
from santaserver.layers import members, service
from santaserver.layers.schemas import Layer, LayerMembers, LayerName
from santaserver.permissions import Permission
from santaserver.routing import AreaRouter
from santaserver.scope import Scope

router = AreaRouter(prefix="/layers", tags=["layers"], responses=responses(Unauthorized, Forbidden))

MayRead = Annotated[Scope, require("rule:read")]


@router.get("")
async def list_layers(
    scope: MayRead,
    user: CurrentUser,
    connection: ConnectionDep,
    permission: Annotated[
        Literal[Permission.RULE_WRITE, Permission.RULE_EXPORT, Permission.SETTINGS_WRITE] | None,
        Query(description="Only those that this permission of the user reaches"),
    ] = None,
) -> list[Layer]:
    """List layers from the lowest to the highest; a higher one's rule wins unless a lower one is locked."""
    reached = scope if permission is None else user.require(permission)
    return await service.list_layers(connection, reached)


@router.get("/members", responses=responses(NotFound))
async def count_members(
    scope: MayRead, connection: ConnectionDep, layer: Annotated[LayerName, Query()]
) -> LayerMembers:
    """Count the Macs of a layer as they are now, before a change is made for them."""
    return LayerMembers(layer=layer, machines=await members.count_members(connection, scope, layer))
