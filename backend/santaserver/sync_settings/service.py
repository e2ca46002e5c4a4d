"""Reads and replaces synced settings, layer by layer; each difference is an entry of the policy log."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from santaserver.audit import Actor
from santaserver.confirmation import ConfirmReason
from santaserver.db import Connection
from santaserver.errors import Conflict, wrong_field
from santaserver.layers.asking import ask_about_layer, out_of_lockdown
from santaserver.layers.lockdown import Mode, present_modes
from santaserver.layers.member_repository import owned_by
from santaserver.layers.repository import NamedLayer, rank_of
from santaserver.layers.schemas import GLOBAL
from santaserver.layers.service import layer_if_known, layer_to_fill, layer_to_read, parts
from santaserver.policy import guarding
from santaserver.policy.change import Change, policy_change
from santaserver.policy.guard import SETTINGS as DECIDING
from santaserver.policy.layer_ranks import GLOBAL_LAYER, MACHINE_RANK, USER_RANK
from santaserver.preconditions import ANY, IfMatch, entity_tag
from santaserver.scope import EVERYWHERE, Scope
from santaserver.stale import Version, check
from santaserver.sync_settings import repository
from santaserver.sync_settings.repository import Owned
from santaserver.sync_settings.schemas import (
    NULLABLE,
    GlobalSettingsPatch,
    LayerSettings,
    LayerSettingsPatch,
    LayerSettingsUpdate,
    SettingsPatch,
    SyncSettings,
)
from santaserver.unit_of_work import UnitOfWork

MODE = "client_mode"
NO_LAYER = 0
"""Stands for the layer of a user or machine that has none yet."""
RANKS = {"user": USER_RANK, "machine": MACHINE_RANK}


async def get_settings(connection: Connection) -> tuple[SyncSettings, str]:
    """Return the settings of the global layer, complete, and the tag of their version."""
    owned = await repository.open_settings(connection, GLOBAL_LAYER)
    return _complete(owned), _etag(GLOBAL, owned)


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
    expected: IfMatch,
    actor: Actor,
    now: datetime,
) -> LayerSettings:
    """Define exactly these settings in a layer; the others come from the layers below."""
    values = settings.values.model_dump(mode="json", exclude_unset=True)
    _check_locked(settings.locked, values)
    wanted = {key: (value, key in settings.locked) for key, value in values.items()}
    return await _change(work, scope, layer, lambda _: wanted, expected, actor, now, settings.reason)


async def patch_layer_settings(
    work: UnitOfWork,
    scope: Scope,
    layer: str,
    patch: LayerSettingsPatch,
    expected: IfMatch,
    actor: Actor,
    now: datetime,
) -> LayerSettings:
    """Change the settings of a layer that are named; the others stay."""
    values, unset = changed_values(patch)

    def wanted(before: Mapping[str, Owned]) -> dict[str, Owned]:
        kept = {key: value for key, (value, _) in before.items() if key not in unset} | values
        locked = [key for key, (_, locked) in before.items() if locked and key in kept]
        if "locked" in patch.model_fields_set:
            _check_locked(patch.locked, kept)
            locked = patch.locked
        return {key: (value, key in locked) for key, value in kept.items()}

    return await _change(work, scope, layer, wanted, expected, actor, now, patch.reason)


async def restore_settings(
    work: UnitOfWork,
    scope: Scope,
    layer: str,
    wanted: Callable[[Mapping[str, Owned]], Mapping[str, Owned]],
    reverts: int,
    actor: Actor,
    now: datetime,
    reason: str,
) -> None:
    """Give a layer the settings that taking back a change makes of its present ones.

    `wanted` judges what is there under the lock, so that no version is named.
    """
    await _change(work, scope, layer, wanted, ANY, actor, now, reason, reverts=reverts)


async def patch_settings(
    work: UnitOfWork, wanted: GlobalSettingsPatch, expected: IfMatch, actor: Actor, now: datetime
) -> tuple[SyncSettings, str]:
    """Change settings of the global layer; return all of them, and the tag of their version."""
    values = SettingsPatch.model_validate(wanted.model_dump(exclude_unset=True, exclude={"reason"}))
    patch = LayerSettingsPatch(values=values, reason=wanted.reason)
    await patch_layer_settings(work, EVERYWHERE, GLOBAL, patch, expected, actor, now)
    return await get_settings(work.connection)


def changed_values(patch: LayerSettingsPatch) -> tuple[dict[str, Any], set[str]]:
    """Return the values that a patch defines, and the settings that it removes."""
    unset = set(patch.unset)
    if strangers := unset - SyncSettings.model_fields.keys():
        raise wrong_field("unset", f"There is no setting {', '.join(sorted(strangers))}")
    values = patch.values.model_dump(mode="json", exclude_unset=True)
    if both := unset & values.keys():
        raise wrong_field("unset", f"{', '.join(sorted(both))} cannot be defined and removed at once")
    inherited = {key for key, value in values.items() if value is None and key not in NULLABLE}
    return {key: value for key, value in values.items() if key not in inherited}, unset | inherited


async def _change(
    work: UnitOfWork,
    scope: Scope,
    layer: str,
    wanted: Callable[[Mapping[str, Owned]], Mapping[str, Owned]],
    expected: IfMatch,
    actor: Actor,
    now: datetime,
    reason: str,
    *,
    reverts: int | None = None,
) -> LayerSettings:
    """Store what differs; without a difference no number is used."""
    asked = await _ask(work, scope, layer, wanted, expected)
    async with policy_change(work, actor, now, "revert" if reverts else "settings", reason) as change:
        found = await layer_to_fill(change, scope, layer)
        before = await repository.open_settings(work.connection, found.id)
        shown = _shown(found.name, before)
        await check(work.connection, expected, Version("layer", found.name, _state(before), shown))
        if before != asked:  # only with `If-Match: *`, or a list of versions
            raise Conflict("The settings have changed while the Macs were counted; repeat the request")
        after = wanted(before)
        await _store(change, (found.id, found.name), before, after, scope)
        if reverts:
            change.sum_up(reverts=reverts)
    return _shown(found.name, after)


async def _ask(
    work: UnitOfWork,
    scope: Scope,
    layer: str,
    wanted: Callable[[Mapping[str, Owned]], Mapping[str, Owned]],
    expected: IfMatch,
) -> Mapping[str, Owned]:
    """Ask before a change, and return what it was asked about."""
    found = await layer_if_known(work.connection, scope, layer)
    known = found[1]
    before = await repository.open_settings(work.connection, known.id) if known else {}
    name = known.name if known else layer
    if not work.confirmation.asks or not expected.holds(_etag(name, before)) or not found[0]:
        return before
    after = wanted(before)
    if after == before:
        return before
    reasons = []
    if after.get(MODE) != before.get(MODE):
        reasons.append(await _mode_reason(work, known, name, after.get(MODE)))
    version = entity_tag("layer", name, _state(before), _state(after))
    await ask_about_layer(work, scope, name, version, reasons=reasons)
    return before


async def _mode_reason(
    work: UnitOfWork, known: NamedLayer | None, name: str, mode: Owned | None
) -> ConfirmReason:
    """Count the Macs that a layer's new mode takes out of Lockdown; a layer may have to be made first."""
    connection = work.connection
    number = known.id if known else NO_LAYER
    modes = [one for one in await present_modes(connection) if one.layer != number]
    if mode is not None:
        rank = await rank_of(connection, known.id) if known else RANKS[parts(name)[0]]
        modes.append(Mode(number, rank, *mode))
    members = {} if known else {NO_LAYER: await owned_by(connection, *parts(name))}
    return await out_of_lockdown(work, modes, members=members)


def _check_locked(locked: Collection[str], defined: Collection[str]) -> None:
    if strangers := set(locked) - set(defined):
        message = f"Only settings defined in the layer can be locked, not {', '.join(sorted(strangers))}"
        raise wrong_field("locked", message)


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
    change.audit("settings_changed", ("layer", layer[1]), _state(before), _state(wanted))


def _complete(owned: Mapping[str, Owned]) -> SyncSettings:
    return SyncSettings.model_validate({key: value for key, (value, _) in owned.items()})


def _state(owned: Mapping[str, Owned]) -> dict[str, Any]:
    """Return what can be changed of a layer's settings."""
    return {
        "values": {key: value for key, (value, _) in owned.items()},
        "locked": sorted(key for key, (_, locked) in owned.items() if locked),
    }


def _etag(name: str, owned: Mapping[str, Owned]) -> str:
    known_as = name.lower() if name.startswith("user:") else name  # as it is stored once it is needed
    return entity_tag("layer", known_as, *_state(owned).values())


def _shown(name: str, owned: Mapping[str, Owned]) -> LayerSettings:
    return LayerSettings(
        layer=name,
        values=_complete(owned),
        locked=_state(owned)["locked"],
        etag=_etag(name, owned),
    )
