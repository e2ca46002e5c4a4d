"""The names that layers have outside: `global`, `tag:NAME`, `user:NAME`, `machine:ID`."""

from collections.abc import Sequence

from santaserver.db import Connection

NAME = """case l.kind when 'tag' then 'tag:' || t.name when 'user' then 'user:' || l.name
  when 'machine' then 'machine:' || m.machine_id else 'global' end"""
"""The name that a layer has outside."""
NAMED = "layer l left join tag t on t.id = l.tag_id left join machine m on m.id = l.machine_id"
"""Layers with what their names are made of."""


async def layer_names(connection: Connection, layers: Sequence[int]) -> dict[int, str]:
    """Return the outside names of layers; removed ones have none."""
    rows = await connection.fetch(
        f"select l.id, {NAME} from {NAMED} where l.removed_at is null and l.id = any($1)",  # noqa: S608 - constants
        layers,
    )
    return {row[0]: row[1] for row in rows}
