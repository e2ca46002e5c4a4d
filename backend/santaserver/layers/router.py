"""List the layers that rules and settings belong to."""

from typing import Annotated

from fastapi import Query

from santaserver.deps import ConnectionDep
from santaserver.errors import NotFound, Unauthorized, responses
from santaserver.layers import members, service
from santaserver.layers.schemas import Layer, LayerMembers, LayerName
from santaserver.routing import AreaRouter

router = AreaRouter(prefix="/layers", tags=["layers"], responses=responses(Unauthorized))


@router.get("")
async def list_layers(connection: ConnectionDep) -> list[Layer]:
    """List layers from the lowest to the highest; a higher one's rule wins unless a lower one is locked."""
    return await service.list_layers(connection)


@router.get("/members", responses=responses(NotFound))
async def count_members(connection: ConnectionDep, layer: Annotated[LayerName, Query()]) -> LayerMembers:
    """Count the Macs of a layer as they are now, before a change is made for them."""
    return LayerMembers(layer=layer, machines=await members.count_members(connection, layer))
