"""Queries on the policy log: which settings are in force in layers at a number."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy.precedence import IN_FORCE, PRECEDENCE

IN_FORCE_SETTINGS = f"""
select distinct on (v.key) v.key, v.value::text, v.layer_id, v.locked, v.opened_seq
from setting_version v where v.layer_id = any($1) and {IN_FORCE}
order by v.key, {PRECEDENCE}
"""  # noqa: S608 - constants


class SettingVersion(Struct, frozen=True):
    """The version of a setting that wins."""

    key: str
    value: Any
    """Plain JSON."""
    layer_id: int
    locked: bool
    opened_seq: int


async def settings_in_force(connection: Connection, layers: Sequence[int], seq: int) -> list[SettingVersion]:
    """Return the winning versions by their settings; precedence is that of rules."""
    rows = await connection.fetch(IN_FORCE_SETTINGS, layers, seq)
    return [SettingVersion(row[0], msgspec.json.decode(row[1]), *row[2:]) for row in rows]
