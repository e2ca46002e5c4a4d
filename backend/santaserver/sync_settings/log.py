"""The settings of layers at a policy number: the versions in force, over the defaults."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from santaserver.db import Connection
from santaserver.policy.precedence import IN_FORCE, PRECEDENCE
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
    """Return the settings; precedence is that of rules, a missing one is the default."""
    rows = await connection.fetch(
        f"""select distinct on (v.key) v.key, v.value::text, v.layer_id, v.locked from setting_version v
            where v.layer_id = any($1) and {IN_FORCE}
            order by v.key, {PRECEDENCE}""",  # noqa: S608 - constants
        layers,
        seq,
    )
    return LayeredSettings(
        SyncSettings.model_validate({row["key"]: json.loads(row["value"]) for row in rows}),
        {row["key"]: row["layer_id"] for row in rows},
        frozenset(row["key"] for row in rows if row["locked"]),
    )
