"""Read and change the settings that syncs send."""

from typing import Annotated

from fastapi import Query, Response

from santaserver.authorization import require
from santaserver.deps import ConnectionDep, CurrentUser, GuardedWorkDep, IfMatchDep, NowDep
from santaserver.errors import CHANGING, Forbidden, NotFound, Unauthorized, Unprocessable, responses
from santaserver.layers.schemas import LayerName
from santaserver.reads import tagged
from santaserver.routing import AreaRouter
from santaserver.scope import Scope
from santaserver.sync_settings import service
from santaserver.sync_settings.schemas import (
    GlobalSettingsPatch,
    LayerSettings,
    LayerSettingsPatch,
    LayerSettingsUpdate,
    SyncSettings,
)

router = AreaRouter(prefix="/settings", tags=["settings"], responses=responses(Unauthorized, Forbidden))


@router.get("", dependencies=[require("settings:read", everywhere=True)])
async def get_settings(connection: ConnectionDep, response: Response) -> SyncSettings:
    """Show the settings of the global layer, complete: what it does not define has its default."""
    settings, response.headers["ETag"] = await service.get_settings(connection)
    return settings


@router.patch(
    "",
    dependencies=[require("settings:write", everywhere=True)],
    responses=CHANGING | responses(Unprocessable),
)
async def patch_settings(
    patch: GlobalSettingsPatch,
    expected: IfMatchDep,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> SyncSettings:
    """Change settings of the global layer; what the request leaves out stays, null restores the default."""
    changed = await service.patch_settings(work, patch, expected, user.actor, now)
    settings, response.headers["ETag"] = changed
    return settings


LayerParam = Annotated[LayerName, Query()]
MayWrite = Annotated[Scope, require("settings:write")]


@router.get("/layer", response_model_exclude_unset=True, responses=responses(NotFound))
async def get_layer_settings(
    layer: LayerParam,
    scope: Annotated[Scope, require("settings:read")],
    connection: ConnectionDep,
    response: Response,
) -> LayerSettings:
    """Show the settings defined in one layer."""
    return tagged(response, await service.layer_settings(connection, scope, layer))


@router.put("/layer", response_model_exclude_unset=True, responses=CHANGING | responses(Unprocessable))
async def replace_layer_settings(
    layer: LayerParam,
    settings: LayerSettingsUpdate,
    scope: MayWrite,
    expected: IfMatchDep,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> LayerSettings:
    """Define exactly these settings in one layer; its Macs get them at their next sync."""
    stored = service.replace_layer_settings(work, scope, layer, settings, expected, user.actor, now)
    return tagged(response, await stored)


@router.patch("/layer", response_model_exclude_unset=True, responses=CHANGING | responses(Unprocessable))
async def patch_layer_settings(
    layer: LayerParam,
    patch: LayerSettingsPatch,
    scope: MayWrite,
    expected: IfMatchDep,
    work: GuardedWorkDep,
    user: CurrentUser,
    now: NowDep,
    response: Response,
) -> LayerSettings:
    """Change some of the settings defined in one layer; what the request leaves out stays."""
    stored = service.patch_layer_settings(work, scope, layer, patch, expected, user.actor, now)
    return tagged(response, await stored)
