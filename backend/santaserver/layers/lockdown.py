"""Counts the Macs that a change takes out of Lockdown, by who belongs to which layer now.

Only the layers that define a client mode matter, so only their members are looked up. A Mac that has not
synced lately counts like any other.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

from msgspec import Struct

from santaserver.db import Connection
from santaserver.layers import member_repository as repository
from santaserver.layers.members import members_of_tag
from santaserver.policy.layer_ranks import GLOBAL_LAYER
from santaserver.turns import Turns

LOCKDOWN, DEFAULT = "LOCKDOWN", "MONITOR"
AT_ONCE = 1000
"""Macs that are counted before other requests may get a turn."""


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


State = tuple[Sequence[Mode], Members]


async def leaving(before: State, after: State, fleet: int) -> int:
    """Return how many Macs are in Lockdown before a change and not after it."""
    states = (before, after)
    everywhere = tuple([mode for mode in modes if mode.layer == GLOBAL_LAYER] for modes, _ in states)
    own = [
        (side, mode) for side, (modes, _) in enumerate(states) for mode in modes if mode.layer != GLOBAL_LAYER
    ]
    # Most Macs have the same modes as many others, so each combination is judged once.
    combinations: dict[int, tuple[int, ...]] = {}
    turns = Turns()
    for number, (side, mode) in enumerate(own):
        macs = iter(states[side][1].get(mode.layer, ()))
        while portion := list(islice(macs, AT_ONCE)):
            for mac in portion:
                combinations[mac] = (*combinations.get(mac, ()), number)
            await turns.pause()
    leave = sum(
        macs
        for numbers, macs in Counter(combinations.values()).items()
        if _leaves(everywhere, [own[number] for number in numbers])
    )
    others = max(0, fleet - len(combinations)) if _leaves(everywhere, ()) else 0
    return leave + others


def _leaves(everywhere: Sequence[Sequence[Mode]], own: Sequence[tuple[int, Mode]]) -> bool:
    """Tell whether a Mac leaves Lockdown; its own modes are each of before (0) or after (1)."""
    there, then = (
        mode_of([*modes, *(mode for of, mode in own if of == side)]) for side, modes in enumerate(everywhere)
    )
    return there == LOCKDOWN and then != LOCKDOWN


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
