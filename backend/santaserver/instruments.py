"""What a worker counts, as data: counters, gauges and histograms for `GET /metrics`.

The set of series is closed: a family names its labels, and a counter every value of theirs, when it is
defined. All series exist from the start with 0, so that an alert sees the first increase, and nothing that a
client sends can make another one. A label never holds an id, a name, an address or a secret.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from typing import Literal

PREFIX = "santa_backend_"
NAME = re.compile(r"[a-z]+(_[a-z]+)*")
VALUE = re.compile(r"[A-Za-z0-9_. ()-]*")
COUNTED = "_total"

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[str, ...]
Sample = tuple[Labels, float]
"""The values of the labels, in the family's order, and the number."""


@dataclass(frozen=True, slots=True)
class Family:
    """What all series of a name have in common."""

    name: str
    kind: Kind
    meaning: str
    """A sentence; the unit is at the end of the name."""
    labels: Labels = ()

    def __post_init__(self) -> None:
        """Refuse what Prometheus or OpenMetrics would not take."""
        if not NAME.fullmatch(self.name) or self.name.endswith(COUNTED) != (self.kind == "counter"):
            raise ValueError(f"{self.name!r} is no name for a {self.kind}")
        if not self.meaning.endswith(".") or not self.meaning.isprintable() or {*'"\\'} & {*self.meaning}:
            raise ValueError(f"{self.name} needs a meaning: a plain sentence")
        if "le" in self.labels or not all(map(NAME.fullmatch, self.labels)):
            raise ValueError(f"{self.name} has labels that it cannot have: {self.labels}")

    @property
    def full_name(self) -> str:
        """The name with the program's prefix."""
        return PREFIX + self.name

    def lines(self, samples: Iterable[Sample]) -> Iterator[str]:
        """Return the text of its plain series."""
        yield from self.head()
        for values, number in samples:
            yield f"{self.full_name}{self.braces(values)} {shown(number)}"

    def head(self) -> Iterator[str]:
        """Return the lines that describe it."""
        yield f"# HELP {self.full_name} {self.meaning}"
        yield f"# TYPE {self.full_name} {self.kind}"

    def braces(self, values: Labels, bound: str | None = None) -> str:
        """Return the labels of a series as text."""
        pairs = [f'{name}="{checked(value)}"' for name, value in zip(self.labels, values, strict=True)]
        if bound is not None:
            pairs.append(f'le="{bound}"')
        return f"{{{','.join(pairs)}}}" if pairs else ""


def checked(value: str) -> str:
    """Return a label's value; one that would have to be escaped is not one of ours."""
    if not VALUE.fullmatch(value):
        raise ValueError(f"{value!r} is no value of a label")
    return value


def shown(number: float) -> str:
    """Return a number as text."""
    return str(number) if isinstance(number, int) else repr(float(number))


class Counter:
    """Numbers that only go up, one for each combination of its labels' values."""

    __slots__ = ("_counts", "family")

    def __init__(self, name: str, meaning: str, **labels: Iterable[str]) -> None:
        """Define it, with every value that each label can have."""
        self.family = Family(name, "counter", meaning, tuple(labels))
        closed = (tuple(map(str, values)) for values in labels.values())
        self._counts: dict[Labels, int] = dict.fromkeys(product(*closed), 0)

    def add(self, *values: str, number: int = 1) -> None:
        """Count; raise KeyError for a value that was not defined."""
        self._counts[values] += number

    def get(self, *values: str) -> int:
        """Return the number."""
        return self._counts[values]

    def lines(self) -> Iterator[str]:
        """Return its text."""
        return self.family.lines(self._counts.items())


class Buckets:
    """How many values were not above each of some bounds, and the sum of all."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Begin without values; `bounds` ascend."""
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Add a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Histogram:
    """The distribution of a value in seconds, for each combination of its labels' values."""

    __slots__ = ("_bounds", "_series", "family")

    def __init__(self, name: str, meaning: str, bounds: Sequence[float], **labels: Iterable[str]) -> None:
        """Define it, with ascending bounds and every value that each label can have."""
        self.family = Family(name, "histogram", meaning, tuple(labels))
        self._bounds = bounds
        closed = (tuple(map(str, values)) for values in labels.values())
        self._series = {values: Buckets(bounds) for values in product(*closed)}

    def observe(self, value: float, *values: str) -> None:
        """Add a value; raise KeyError for a label's value that was not defined."""
        self._series[values].observe(value)

    def lines(self) -> Iterator[str]:
        """Return its text."""
        return distribution(self.family, self._bounds, self._series.items())


def distribution(
    family: Family, bounds: Sequence[float], series: Iterable[tuple[Labels, Buckets]]
) -> Iterator[str]:
    """Return the text of a histogram."""
    yield from family.head()
    edges = [*(repr(float(bound)) for bound in bounds), "+Inf"]
    for values, buckets in series:
        sums = list(accumulate(buckets.counts))
        for edge, number in zip(edges, sums, strict=True):
            yield f"{family.full_name}_bucket{family.braces(values, edge)} {number}"
        braces = family.braces(values)
        yield f"{family.full_name}_sum{braces} {shown(buckets.total)}"
        yield f"{family.full_name}_count{braces} {sums[-1]}"
