"""Reads and replaces synced settings, layer by layer; each difference is an entry of the policy log."""

from collections.abc import Mapping
from datetime import datetime

from santaserver.audit import Actor
from santaserver.db import Connection
from santaserver.errors import wrong_field
from santaserver.layers.schemas import GLOBAL
from santaserver.layers.service import layer_to_fill, layer_to_read
from santaserver.policy import guarding
from santaserver.policy.change import Change, policy_change
from santaserver.policy.guard import SETTINGS as DECIDING
from santaserver.policy.layer_ranks import GLOBAL_LAYER
from santaserver.scope import EVERYWHERE, Scope
from santaserver.sync_settings import repository
from santaserver.sync_settings.repository import Owned
from santaserver.sync_settings.schemas import LayerSettings, LayerSettingsUpdate, SyncSettings
from santaserver.unit_of_work import UnitOfWork


async def get_settings(connection: Connection) -> SyncSettings:
    """Return the settings of the global layer, complete."""
    owned = await repository.open_settings(connection, GLOBAL_LAYER)
    return SyncSettings.model_validate({key: value for key, (value, _) in owned.items()})


async def replace_settings(
    work: UnitOfWork, settings: SyncSettings, actor: Actor, now: datetime, reason: str = ""
) -> SyncSettings:
    """Store what differs in the global layer; without a difference no number is used."""
    defaults = SyncSettings().model_dump(mode="json")
    async with policy_change(work, actor, now, "settings", reason) as change:
        before = await repository.open_settings(work.connection, GLOBAL_LAYER)
        wanted = {
            key: (value, before.get(key, (None, False))[1])
            for key, value in settings.model_dump(mode="json").items()
            if key in before or value != defaults[key]
        }
        await _store(change, (GLOBAL_LAYER, GLOBAL), before, wanted)
    return settings


async def layer_settings(connection: Connection, scope: Scope, layer: str) -> LayerSettings:
    """Return only the settings defined in a layer."""
    found = await layer_to_read(connection, scope, layer)
    if found is None:
        return _shown(layer, {})
    return _shown(found.name, await repository.open_settings(connection, found.id))


async def replace_layer_settings(
    work: UnitOfWork,
    scope: Scope,
    layer: str,
    settings: LayerSettingsUpdate,
    actor: Actor,
    now: datetime,
) -> LayerSettings:
    """Define exactly these settings in a layer; the others come from the layers below."""
    values = settings.values.model_dump(mode="json", exclude_unset=True)
    strangers = set(settings.locked) - values.keys()
    if strangers:
        message = f"Only settings defined in the layer can be locked, not {', '.join(sorted(strangers))}"
        raise wrong_field("locked", message)
    wanted = {key: (value, key in settings.locked) for key, value in values.items()}
    async with policy_change(work, actor, now, "settings", settings.reason) as change:
        found = await layer_to_fill(change, scope, layer)
        before = await repository.open_settings(work.connection, found.id)
        await _store(change, (found.id, found.name), before, wanted, scope)
    return _shown(found.name, wanted)


async def locked_mode_owner(connection: Connection, signature: int | None) -> str | None:
    """Return the name of the layer that locks the client mode for a signature's machines, if one does."""
    return await repository.locking_layer(connection, signature, "client_mode")


async def remove_layers_settings(change: Change, layer: int) -> list[str]:
    """Remove all settings of a layer; return which they were."""
    keys = sorted(await repository.open_settings(change.connection, layer))
    await repository.close(change, layer, keys)
    return keys


async def _store(
    change: Change,
    layer: tuple[int, str],
    before: Mapping[str, Owned],
    wanted: Mapping[str, Owned],
    scope: Scope = EVERYWHERE,
) -> None:
    changed = {key: owned for key, owned in wanted.items() if before.get(key) != owned}
    dropped = before.keys() - wanted.keys()
    if not changed and not dropped:
        return
    touched = changed.keys() | dropped
    deciding = [key for key in DECIDING if key in touched]
    if deciding:
        guard = await guarding.prepare_all(change.work, change.now, popular=True)
    else:
        guard = guarding.nothing(change.work, change.now)
    await guard.before()
    await repository.close(change, layer[0], dropped)
    await repository.replace(change, layer[0], changed)
    await guard.check(change, [layer[0]], field=deciding[0] if deciding else "", scope=scope, newcomers=True)
    change.sum_up(layer=layer[1], settings=sorted(touched))
    change.audit(
        "settings_changed",
        ("layer", layer[1]),
        {key: value for key, (value, _) in before.items() if key in touched},
        {key: value for key, (value, _) in changed.items()},
    )


def _shown(name: str, owned: Mapping[str, Owned]) -> LayerSettings:
    return LayerSettings(
        layer=name,
        values=SyncSettings.model_validate({key: value for key, (value, _) in owned.items()}),
        locked=sorted(key for key, (_, locked) in owned.items() if locked),
    )
