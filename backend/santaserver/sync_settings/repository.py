"""Setting versions in the database."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from santaserver.db import Connection
from santaserver.policy.change import Change
from santaserver.policy.layer_names import NAME
from santaserver.policy.layer_ranks import GLOBAL_LAYER

Owned = tuple[Any, bool]
"""(value, locked)"""

LOCKING = f"""
select {NAME}
from setting_version v
join layer l on l.id = v.layer_id
left join tag t on t.id = l.tag_id
left join machine m on m.id = l.machine_id
where v.key = $1 and v.locked and v.closed_seq is null
  and (l.id = $2 or l.id in (select unnest(layers) from policy_signature where id = $3))
order by l.rank limit 1
"""  # noqa: S608 - put together from constants

REPLACE = """
insert into setting_version (layer_id, key, value, locked, opened_seq, opened_at, opened_by)
select $1, key, value::jsonb, locked, $2, $3, $4
from unnest($5::text[], $6::text[], $7::boolean[]) with ordinality s (key, value, locked, n) order by n
"""


async def open_settings(connection: Connection, layer: int) -> dict[str, Owned]:
    """Return a layer's present settings."""
    rows = await connection.fetch(
        "select key, value::text, locked from setting_version where layer_id = $1 and closed_seq is null",
        layer,
    )
    return {row[0]: (msgspec.json.decode(row[1]), row[2]) for row in rows}


async def locking_layer(connection: Connection, signature: int | None, key: str) -> str | None:
    """Return the name of the lowest layer that locks a setting; the global one counts for all."""
    name: str | None = await connection.fetchval(LOCKING, key, GLOBAL_LAYER, signature)
    return name


async def close(change: Change, layer: int, keys: Collection[str]) -> None:
    """End a layer's values of these settings before this change."""
    if keys:
        await change.connection.execute(
            """update setting_version set closed_seq = $3
               where layer_id = $1 and key = any($2) and closed_seq is null""",
            layer,
            list(keys),
            change.take_number(),
        )
        change.settings_changed()


async def replace(change: Change, layer: int, changed: Mapping[str, Owned]) -> None:
    """Put new values into force from this change on."""
    if changed:
        await close(change, layer, changed.keys())
        await change.connection.execute(
            REPLACE,
            layer,
            change.take_number(),
            change.now,
            change.actor.id,
            list(changed),
            [msgspec.json.encode(value).decode() for value, _ in changed.values()],
            [locked for _, locked in changed.values()],
        )
