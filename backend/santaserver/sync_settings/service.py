"""Reads and replaces synced settings, layer by layer; each difference is an entry of the policy log."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.current_user import User
from santaserver.errors import wrong_field
from santaserver.layers.schemas import GLOBAL
from santaserver.layers.service import layer_to_fill, layer_to_read
from santaserver.models.policy import GLOBAL_LAYER
from santaserver.policy.head import lock_policy, next_seq, settings_changed
from santaserver.sync_settings import repository
from santaserver.sync_settings.repository import Owned
from santaserver.sync_settings.schemas import LayerSettings, LayerSettingsUpdate, SyncSettings
from santaserver.users.repository import audit


async def get_settings(session: AsyncSession) -> SyncSettings:
    """Return the settings of the global layer, complete."""
    owned = await repository.open_settings(session, GLOBAL_LAYER)
    return SyncSettings.model_validate({key: value for key, (value, _) in owned.items()})


async def replace_settings(
    session: AsyncSession, settings: SyncSettings, user: User | None, now: datetime
) -> SyncSettings:
    """Store what differs in the global layer; without a difference no number is used."""
    await lock_policy(session)
    before = await repository.open_settings(session, GLOBAL_LAYER)
    defaults = SyncSettings().model_dump(mode="json")
    wanted = {
        key: (value, before.get(key, (None, False))[1])
        for key, value in settings.model_dump(mode="json").items()
        if key in before or value != defaults[key]
    }
    await _store(session, (GLOBAL_LAYER, GLOBAL), before, wanted, user, now)
    return settings


async def layer_settings(session: AsyncSession, layer: str) -> LayerSettings:
    """Return only what a layer says itself."""
    found = await layer_to_read(session, layer)
    if found is None:
        return _shown(layer, {})
    return _shown(found.name, await repository.open_settings(session, found.id))


async def replace_layer_settings(
    session: AsyncSession, layer: str, settings: LayerSettingsUpdate, user: User, now: datetime
) -> LayerSettings:
    """Have a layer say exactly this; what it leaves out is decided by the layers below."""
    values = settings.values.model_dump(mode="json", exclude_unset=True)
    strangers = set(settings.locked) - values.keys()
    if strangers:
        message = f"Only settings defined in the layer can be locked, not {', '.join(sorted(strangers))}"
        raise wrong_field("locked", message)
    await lock_policy(session)
    found = await layer_to_fill(session, layer)
    before = await repository.open_settings(session, found.id)
    wanted = {key: (value, key in settings.locked) for key, value in values.items()}
    await _store(session, (found.id, found.name), before, wanted, user, now)
    return _shown(found.name, wanted)


async def locked_mode_owner(session: AsyncSession, signature: int | None) -> str | None:
    """Return the name of the layer that locks the client mode for a signature's machines, if one does."""
    return await repository.locking_layer(session, signature, "client_mode")


async def remove_layers_settings(session: AsyncSession, layer: int, seq: int) -> None:
    """Take back everything that a layer says, under the number `seq`."""
    owned = await repository.open_settings(session, layer)
    if owned:
        await repository.close(session, layer, owned.keys(), seq)
        await settings_changed(session, seq)


async def _store(
    session: AsyncSession,
    layer: tuple[int, str],
    before: Mapping[str, Owned],
    wanted: Mapping[str, Owned],
    user: User | None,
    now: datetime,
) -> None:
    changed = {key: owned for key, owned in wanted.items() if before.get(key) != owned}
    dropped = before.keys() - wanted.keys()
    if not changed and not dropped:
        return
    seq = await next_seq(session)
    await settings_changed(session, seq)
    await repository.close(session, layer[0], dropped, seq)
    await repository.replace(session, layer[0], changed, seq, user.id if user else None, now)
    actor = (user.id, user.username) if user else (None, "system")
    touched = changed.keys() | dropped
    audit(
        session,
        actor,
        now,
        "settings_changed",
        ("layer", layer[1]),
        {key: value for key, (value, _) in before.items() if key in touched},
        {key: value for key, (value, _) in changed.items()},
        seq,
    )


def _shown(name: str, owned: Mapping[str, Owned]) -> LayerSettings:
    return LayerSettings(
        layer=name,
        values=SyncSettings.model_validate({key: value for key, (value, _) in owned.items()}),
        locked=sorted(key for key, (_, locked) in owned.items() if locked),
    )
