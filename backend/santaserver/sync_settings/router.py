"""Read and replace the settings that syncs hand out."""

from fastapi import APIRouter

from santaserver.deps import AdminUser, CurrentUser, NowDep, SessionDep
from santaserver.errors import Forbidden, Unauthorized, Unprocessable, responses
from santaserver.sync_settings import service
from santaserver.sync_settings.schemas import SyncSettings

router = APIRouter(prefix="/settings", tags=["settings"], responses=responses(Unauthorized))


@router.get("")
async def get_settings(session: SessionDep, _: CurrentUser) -> SyncSettings:
    """Show the settings of the global layer."""
    return await service.get_settings(session)


@router.put("", responses=responses(Forbidden, Unprocessable))
async def replace_settings(
    settings: SyncSettings, session: SessionDep, user: AdminUser, now: NowDep
) -> SyncSettings:
    """Replace the settings of the global layer; every Mac takes them over at its next sync."""
    return await service.replace_settings(session, settings, user, now)
