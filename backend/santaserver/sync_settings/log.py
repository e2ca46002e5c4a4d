"""The settings of layers at a policy number: the versions in force, over the defaults."""

import json
from collections.abc import Sequence

from santaserver.db import Connection
from santaserver.sync_settings.schemas import SyncSettings


async def settings_at(connection: Connection, layers: Sequence[int], seq: int) -> SyncSettings:
    """Return the settings; a higher layer's value wins, a missing one is the default."""
    rows = await connection.fetch(
        """select distinct on (key) key, value from setting_version
           where layer_id = any($1) and opened_seq <= $2 and (closed_seq is null or closed_seq > $2)
           order by key, array_position($1, layer_id) desc""",
        layers,
        seq,
    )
    return SyncSettings.model_validate({row["key"]: json.loads(row["value"]) for row in rows})
