"""Counts the Macs that a change takes out of Lockdown, by who belongs to which layer now.

Only the layers that define a client mode matter, so only their members are looked up. A Mac that has not
synced lately counts like any other.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from santaserver.db import Connection
from santaserver.layers import member_repository as repository
from santaserver.layers.members import members_of_tag
from santaserver.policy.layer_ranks import GLOBAL_LAYER

LOCKDOWN, DEFAULT = "LOCKDOWN", "MONITOR"


class Mode(Struct, frozen=True):
    """A layer's client mode."""

    layer: int
    rank: int
    mode: str
    locked: bool


Members = Mapping[int, Collection[int]]
"""Layer → its Macs (row ids); the global layer has none listed, since all Macs belong to it."""


def mode_of(modes: Iterable[Mode]) -> str:
    """Return the mode that layers give a Mac: the lowest locked one's, else the highest one's."""
    ordered = sorted(modes, key=lambda one: one.rank)
    locked = next((one for one in ordered if one.locked), None)
    if locked is not None:
        return locked.mode
    return ordered[-1].mode if ordered else DEFAULT


def leaving(before: tuple[Sequence[Mode], Members], after: tuple[Sequence[Mode], Members], fleet: int) -> int:
    """Return how many Macs are in Lockdown before a change and not after it."""
    one, other = _by_mac(*before), _by_mac(*after)
    listed = one.keys() | other.keys()
    basis = [[mode for mode in modes if mode.layer == GLOBAL_LAYER] for modes, _ in (before, after)]
    number = sum(
        mode_of([*basis[0], *one.get(mac, ())]) == LOCKDOWN
        and mode_of([*basis[1], *other.get(mac, ())]) != LOCKDOWN
        for mac in listed
    )
    others = mode_of(basis[0]) == LOCKDOWN and mode_of(basis[1]) != LOCKDOWN
    return number + (max(0, fleet - len(listed)) if others else 0)


def _by_mac(modes: Sequence[Mode], members: Members) -> dict[int, list[Mode]]:
    found: dict[int, list[Mode]] = defaultdict(list)
    for mode in modes:
        for mac in members.get(mode.layer, ()):
            found[mac].append(mode)
    return found


async def present_modes(connection: Connection) -> list[Mode]:
    """Return the modes that layers define now."""
    return [Mode(*row) for row in await connection.fetch(repository.MODES)]


async def members_of_layers(
    connection: Connection, layers: Collection[int], only: int | None = None
) -> dict[int, set[int]]:
    """Return the Macs of each of these layers as they are now, or one Mac; the global layer is left out."""
    found: dict[int, set[int]] = {layer: set() for layer in layers if layer != GLOBAL_LAYER}
    for layer, mac in await repository.owned_members(connection, list(found), only):
        found[layer].add(mac)
    for layer, tag in await repository.tags_of_layers(connection, list(found)):
        found[layer] = await members_of_tag(connection, tag, only)
    return found
