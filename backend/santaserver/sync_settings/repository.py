"""Setting versions in the database."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.layers.repository import layer_name
from santaserver.models import Layer, Machine, PolicySignature, SettingVersion, Tag
from santaserver.models.policy import GLOBAL_LAYER

Owned = tuple[Any, bool]
"""(value, locked)"""


async def open_settings(session: AsyncSession, layer: int) -> dict[str, Owned]:
    """Return what a layer says at present."""
    query = select(SettingVersion.key, SettingVersion.value, SettingVersion.locked).where(
        SettingVersion.layer_id == layer, SettingVersion.closed_seq.is_(None)
    )
    return {row[0]: (row[1], row[2]) for row in await session.execute(query)}


async def locking_layer(session: AsyncSession, signature: int | None, key: str) -> str | None:
    """Return the name of the lowest layer that locks a setting; the global one counts for all."""
    layers = select(func.unnest(PolicySignature.layers)).where(PolicySignature.id == signature)
    query = (
        select(layer_name())
        .select_from(SettingVersion)
        .join(Layer, Layer.id == SettingVersion.layer_id)
        .outerjoin(Tag, Tag.id == Layer.tag_id)
        .outerjoin(Machine, Machine.id == Layer.machine_id)
        .where(
            SettingVersion.key == key,
            SettingVersion.locked,
            SettingVersion.closed_seq.is_(None),
            or_(Layer.id == GLOBAL_LAYER, Layer.id.in_(layers)),
        )
        .order_by(Layer.rank)
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def close(session: AsyncSession, layer: int, keys: Collection[str], seq: int) -> None:
    """End a layer's say about these settings before `seq`."""
    await session.execute(
        update(SettingVersion)
        .where(
            SettingVersion.layer_id == layer,
            SettingVersion.key.in_(keys),
            SettingVersion.closed_seq.is_(None),
        )
        .values(closed_seq=seq)
    )


async def replace(
    session: AsyncSession, layer: int, changed: Mapping[str, Owned], seq: int, user: int | None, now: datetime
) -> None:
    """Put new values into force from `seq` on."""
    await close(session, layer, changed.keys(), seq)
    session.add_all(
        SettingVersion(
            layer_id=layer,
            key=key,
            value=value,
            locked=locked,
            opened_seq=seq,
            opened_at=now,
            opened_by=user,
        )
        for key, (value, locked) in changed.items()
    )
