"""List the layers that rules and settings belong to."""

from fastapi import APIRouter

from santaserver.deps import CurrentUser, SessionDep
from santaserver.errors import Unauthorized, responses
from santaserver.layers import service
from santaserver.layers.schemas import Layer

router = APIRouter(prefix="/layers", tags=["layers"], responses=responses(Unauthorized))


@router.get("")
async def list_layers(session: SessionDep, _: CurrentUser) -> list[Layer]:
    """List layers from the lowest to the highest; a higher one's rule wins unless a lower one is locked."""
    return await service.list_layers(session)
