"""Setting versions in the database."""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.models import SettingVersion
from santaserver.models.policy import GLOBAL_LAYER


async def open_settings(session: AsyncSession) -> dict[str, Any]:
    """Return the values in force in the global layer."""
    query = select(SettingVersion.key, SettingVersion.value).where(
        SettingVersion.layer_id == GLOBAL_LAYER, SettingVersion.closed_seq.is_(None)
    )
    return {row[0]: row[1] for row in await session.execute(query)}


async def replace(
    session: AsyncSession, changed: dict[str, Any], seq: int, user: int | None, now: datetime
) -> None:
    """Put new values into force from `seq` on."""
    await session.execute(
        update(SettingVersion)
        .where(
            SettingVersion.layer_id == GLOBAL_LAYER,
            SettingVersion.key.in_(changed),
            SettingVersion.closed_seq.is_(None),
        )
        .values(closed_seq=seq)
    )
    session.add_all(
        SettingVersion(
            layer_id=GLOBAL_LAYER, key=key, value=value, opened_seq=seq, opened_at=now, opened_by=user
        )
        for key, value in changed.items()
    )
