"""Finds what grows: the slope of Theil and Sen over the idle points of a run. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import median

LEAST_POINTS = 6
"""Fewer idle points prove nothing."""
QUANTILE = 2.576
"""Of the normal distribution: the bound of a slope is one-sided at 99.5 %."""


@dataclass(frozen=True)
class Trend:
    """How a figure changes from one idle point to the next; `least` is the lower bound of that."""

    slope: float
    least: float
    first: float
    """The figure where the trend begins: the median of the first third."""
    points: int


def trend(values: Sequence[float]) -> Trend:
    """Return the trend of at least two values, one for each idle point.

    The bound is Sen's: the slopes of all pairs in their order, and how many of them chance may have turned.
    """
    slopes = sorted(
        (later - earlier) / (j - i) for (i, earlier), (j, later) in combinations(enumerate(values), 2)
    )
    number = len(values)
    spread = QUANTILE * sqrt(number * (number - 1) * (2 * number + 5) / 18)
    lowest = max(0, int((len(slopes) - spread) / 2))
    return Trend(median(slopes), slopes[lowest], median(values[: max(1, number // 3)]), number)


def settled(values: Sequence[float]) -> Sequence[float]:
    """Leave out the first third, in which caches and pools fill."""
    return values[len(values) // 3 :]


@dataclass(frozen=True)
class Limit:
    """What may grow by how much: in each cycle, and from the first point to the last."""

    share: float
    """Of the first value, in each cycle."""
    total: float
    """In the figure's own unit, in all cycles together: a growth below it is nobody's concern."""

    def exceeded(self, found: Trend) -> bool:
        """Tell whether a trend is above this and certain."""
        grown = found.slope * (found.points - 1)
        return found.least > 0 and found.slope > self.share * found.first and grown > self.total


LIMITS = {
    "private memory": Limit(0.005, 1_000_000),
    "descriptors": Limit(0.0, 3),
    "threads": Limit(0.0, 2),
}
"""By figure: bytes, then numbers."""


def leaks(series: Mapping[tuple[str, str], Sequence[float]], warm: bool = False) -> list[str]:
    """Return what leaks, one sentence each; `series` is by (process, figure), `warm` needs no settling."""
    found = []
    for (process, figure), values in series.items():
        later = values if warm else settled(values)
        if len(later) < LEAST_POINTS:
            found.append(
                f"{process}: {len(later)} idle points of its {figure} are too few, {LEAST_POINTS} are needed"
            )
            continue
        grows = trend(later)
        if LIMITS[figure].exceeded(grows):
            found.append(
                f"{process}: its {figure} grows by {grows.slope:,.1f} a cycle, from {grows.first:,.0f}, "
                f"over {grows.points} idle points"
            )
    return found
