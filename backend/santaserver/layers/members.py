"""Counts the Macs that are in a layer now, by their last report.

The list of layers counts by the last preflights. This count is for the confirmation before a change: it
includes a new tag, and Macs that have not synced since they got it.
"""

from santaserver.db import Connection
from santaserver.errors import NotFound
from santaserver.layers import member_repository as repository
from santaserver.layers.member_repository import TagDefinition
from santaserver.layers.service import layer_to_read, missing, parts
from santaserver.policy.predicate import holds
from santaserver.scope import Scope
from santaserver.turns import Turns

AT_ONCE = 1000
"""Macs that are read at a time."""


async def count_members(connection: Connection, scope: Scope, name: str) -> int:
    """Count the Macs of a layer; raise `NotFound` for one that cannot be."""
    layer = await layer_to_read(connection, scope, name)
    kind, owner = parts(layer.name if layer else name)
    if kind != "tag":
        return await repository.count_owned(connection, kind, owner)
    tag = await repository.find_tag(connection, owner)
    if tag is None:
        raise NotFound(missing(kind))
    return len(await members_of_tag(connection, tag))


async def members_of_tag(connection: Connection, tag: TagDefinition, only: int | None = None) -> set[int]:
    """Return the Macs that have a tag by its definition, synced since or not; or whether one has."""
    found = await repository.known_members(connection, tag, only)
    if tag.predicate is None:
        return found
    after = 0
    turns = Turns()
    while machines := await repository.unevaluated(connection, tag, after, AT_ONCE, only):
        for mac, facts in machines:
            if mac not in found and holds(tag.predicate, facts):
                found.add(mac)
            await turns.pause()
        after = machines[-1][0]
    return found
