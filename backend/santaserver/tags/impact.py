"""Computes which Macs another order of the tags would affect. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations

Pair = tuple[int, int]
"""Two layers, the smaller id first."""


def swapped(layers: Sequence[int], before: Mapping[int, int], after: Mapping[int, int]) -> set[Pair]:
    """Return the pairs of a Mac's layers that change places; `before` and `after` give tag layers' ranks."""
    ranked = [layer for layer in layers if layer in before and layer in after]
    return {
        (min(one, two), max(one, two))
        for one, two in combinations(ranked, 2)
        if (before[one] < before[two]) != (after[one] < after[two])
    }


def count_affected(
    machines: Iterable[tuple[Sequence[int], int]],
    before: Mapping[int, int],
    after: Mapping[int, int],
    rivals: Collection[Pair],
) -> tuple[int, int]:
    """Return how many Macs have layers that change places, and for how many that can make a difference.

    `machines` holds sets of layers and how many Macs have them; `rivals` are the pairs of layers with a rule
    or setting for the same target.
    """
    concerned = differing = 0
    for layers, number in machines:
        pairs = swapped(layers, before, after)
        concerned += number if pairs else 0
        differing += number if pairs & set(rivals) else 0
    return concerned, differing


def moved(before: Sequence[int], after: Sequence[int]) -> Sequence[int]:
    """Return the part of a new order that differs from the old one."""
    places = [place for place, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    return after[places[0] : places[-1] + 1] if places else ()
