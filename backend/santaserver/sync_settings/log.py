"""The settings of layers at a policy number: the versions in force, over the defaults."""

from collections.abc import Sequence
from dataclasses import dataclass

from santaserver.db import Connection
from santaserver.policy.setting_log import SettingVersion, settings_in_force
from santaserver.sync_settings.schemas import SyncSettings


@dataclass(frozen=True, slots=True)
class LayeredSettings:
    """Complete settings and what decided them."""

    values: SyncSettings
    owners: dict[str, int]
    """Setting → the layer whose value is in force; defaults have none."""
    locked: frozenset[str]
    """Settings whose value no higher layer can change."""

    @property
    def can_be_monitored(self) -> bool:
        """Whether a time-boxed monitor mode overrides the client mode; never a locked one."""
        return "client_mode" not in self.locked

    def values_now(self, *, monitor_window: bool) -> SyncSettings:
        """Return the values that a sync sends, inside or outside of such a window."""
        if monitor_window and self.can_be_monitored:
            return self.values.model_copy(update={"client_mode": "MONITOR"})
        return self.values


async def settings_at(connection: Connection, layers: Sequence[int], seq: int) -> LayeredSettings:
    """Return the settings; a missing one is the default."""
    return layered(await settings_in_force(connection, layers, seq))


def layered(versions: Sequence[SettingVersion]) -> LayeredSettings:
    """Put the versions in force over the defaults."""
    return LayeredSettings(
        SyncSettings.model_validate({version.key: version.value for version in versions}),
        {version.key: version.layer_id for version in versions},
        frozenset(version.key for version in versions if version.locked),
    )
