"""Read and replace the settings that syncs send."""

from typing import Annotated

from fastapi import Query

from santaserver.deps import AdminUser, ConnectionDep, NowDep, WorkDep
from santaserver.errors import Forbidden, NotFound, Unauthorized, Unprocessable, responses
from santaserver.layers.schemas import LayerName
from santaserver.routing import AreaRouter
from santaserver.sync_settings import service
from santaserver.sync_settings.schemas import (
    LayerSettings,
    LayerSettingsUpdate,
    SyncSettings,
    SyncSettingsUpdate,
)

router = AreaRouter(prefix="/settings", tags=["settings"], responses=responses(Unauthorized))


@router.get("")
async def get_settings(connection: ConnectionDep) -> SyncSettings:
    """Show the settings of the global layer."""
    return await service.get_settings(connection)


@router.put("", responses=responses(Forbidden, Unprocessable))
async def replace_settings(
    settings: SyncSettingsUpdate, work: WorkDep, user: AdminUser, now: NowDep
) -> SyncSettings:
    """Replace the settings of the global layer; every Mac gets them at its next sync."""
    return await service.replace_settings(work, settings, user.actor, now)


LayerParam = Annotated[LayerName, Query()]


@router.get("/layer", response_model_exclude_unset=True, responses=responses(NotFound))
async def get_layer_settings(layer: LayerParam, connection: ConnectionDep) -> LayerSettings:
    """Show the settings defined in one layer."""
    return await service.layer_settings(connection, layer)


@router.put(
    "/layer", response_model_exclude_unset=True, responses=responses(Forbidden, NotFound, Unprocessable)
)
async def replace_layer_settings(
    layer: LayerParam, settings: LayerSettingsUpdate, work: WorkDep, user: AdminUser, now: NowDep
) -> LayerSettings:
    """Replace the settings defined in one layer; its Macs get them at their next sync."""
    return await service.replace_layer_settings(work, layer, settings, user.actor, now)
