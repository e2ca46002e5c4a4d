"""Read and replace the settings that syncs send."""

from typing import Annotated

from fastapi import Query

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, GuardedWorkDep, NowDep
from santaserver.errors import Forbidden, NotFound, Unauthorized, Unprocessable, responses
from santaserver.layers.schemas import LayerName
from santaserver.routing import AreaRouter
from santaserver.scope import Scope
from santaserver.sync_settings import service
from santaserver.sync_settings.schemas import (
    GlobalSettingsUpdate,
    LayerSettings,
    LayerSettingsUpdate,
    SyncSettings,
)

router = AreaRouter(prefix="/settings", tags=["settings"], responses=responses(Unauthorized, Forbidden))


@router.get("", dependencies=[require("settings:read", everywhere=True)])
async def get_settings(connection: ConnectionDep) -> SyncSettings:
    """Show the settings of the global layer."""
    return await service.get_settings(connection)


@router.put(
    "",
    dependencies=[require("settings:write", everywhere=True)],
    responses=responses(Unprocessable),
)
async def replace_settings(
    settings: GlobalSettingsUpdate, work: GuardedWorkDep, user: CurrentUser, now: NowDep
) -> SyncSettings:
    """Replace the settings of the global layer; every Mac gets them at its next sync."""
    values = SyncSettings.model_validate(settings.model_dump(exclude={"reason"}))
    return await service.replace_settings(work, values, user.actor, now, settings.reason)


LayerParam = Annotated[LayerName, Query()]


@router.get("/layer", response_model_exclude_unset=True, responses=responses(NotFound))
async def get_layer_settings(
    layer: LayerParam, scope: Annotated[Scope, require("settings:read")], connection: ConnectionDep
) -> LayerSettings:
    """Show the settings defined in one layer."""
    return await service.layer_settings(connection, scope, layer)


@router.put("/layer", response_model_exclude_unset=True, responses=responses(NotFound, Unprocessable))
async def replace_layer_settings(
    layer: LayerParam,
    settings: LayerSettingsUpdate,
    scope: Annotated[Scope, require("settings:write")],
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
) -> LayerSettings:
    """Replace the settings defined in one layer; its Macs get them at their next sync."""
    return await service.replace_layer_settings(work, scope, layer, settings, user.actor, now)
