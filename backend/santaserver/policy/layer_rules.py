"""Large changes in parts: what one layer contributes is made once for all sets of layers that contain it.

A target that only one of a Mac's layers has a rule for is decided by that layer alone, whatever the others
are. After an import into the global layer that is nearly every target of nearly every Mac. The few targets
that several layers decide are listed for each set of layers (`Overlay`). What a Mac is sent is put together
from both (`JoinedRules`), without a copy of what is shared. Next: preparation.py reads the parts.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from santaserver import sizes
from santaserver.policy.rule_text import Key, Reworded, removal
from santaserver.policy.states import RuleCounts


@dataclass(frozen=True, slots=True)
class Span:
    """What is compared: the rules at some policy numbers with those at a later one."""

    bases: tuple[int, ...]
    """Ascending; without any, a Mac has no rules yet and is sent all."""
    seq: int

    def mapped(self, earlier: Callable[[int], int]) -> "Span":
        """Return what is the same if these numbers are the same as earlier ones."""
        seq = earlier(self.seq)
        return Span(tuple(sorted({earlier(base) for base in self.bases} - {seq})), seq)

    @property
    def start(self) -> int:
        """The number from which on a version counts as changed or present."""
        return self.bases[0] if self.bases else self.seq


@dataclass(frozen=True, slots=True)
class LayerKey:
    """Names what one layer contributes for clients with some capabilities."""

    layer: int
    code: int
    span: Span

    @property
    def place(self) -> tuple[int, int]:
        """The same at any policy number."""
        return self.layer, self.code


OverlayKey = tuple[tuple[int, ...], int, Span]
"""(layers, code of the capabilities, span)."""
Sent = tuple[Key, bytes | None]
"""A target, and the rule that a Mac is sent for it; None for its removal."""


class LayerRules:
    """What one layer contributes, ordered by target: rules and removals. It is used while it still grows."""

    __slots__ = ("__weakref__", "_more", "complete", "counted", "error", "key", "keys", "own", "texts")

    def __init__(self, key: LayerKey) -> None:
        """Begin without any."""
        self.key = key
        self.keys: list[Key] = []
        self.texts: list[bytes] = []
        self.own = 0
        """Bytes of what nothing else refers to."""
        self.complete = False
        self.counted: Counter[str] = Counter()
        """How many there are of each type, once it is complete."""
        self.error: BaseException | None = None
        """Why it will never be complete."""
        self._more: asyncio.Future[None] | None = None

    def add(self, more: Iterable[Sent]) -> None:
        """Append what comes next in the order."""
        for key, text in more:
            self.keys.append(key)
            self.texts.append(self._own(key, text))

    def take_changed(self, other: "LayerRules", some: Iterable[Sent]) -> None:
        """Take all of a complete one, with single rules replaced, inserted and dropped.

        In one step, since places must not change once they have been seen.
        """
        self.keys, self.texts, self.own = other.keys.copy(), other.texts.copy(), other.own
        for key, text in some:
            place = bisect_left(self.keys, key)
            if place < len(self.keys) and self.keys[place] == key:
                del self.keys[place], self.texts[place]
            if text is not None:
                self.keys.insert(place, key)
                self.texts.insert(place, self._own(key, text))

    def _own(self, key: Key, text: bytes | None) -> bytes:
        sent = removal(key) if text is None else text
        if text is None or type(text) is Reworded:
            self.own += sizes.TEXT + len(sent)
        return sent

    def tell(self) -> None:
        """Wake those who wait for more."""
        if self._more is not None:
            self._more.set_result(None)
            self._more = None

    def end(self, error: BaseException | None = None) -> None:
        """Say that this is all, or that reading failed."""
        self.complete, self.error = error is None, error
        if self.complete:
            self.counted.update(rule_type for rule_type, _ in self.keys)
        self.tell()

    async def grow(self, known: int) -> None:
        """Wait until there are more than the `known` ones, or it is complete."""
        while len(self.keys) <= known and not self.complete:
            if self.error is not None:
                raise self.error.with_traceback(None)
            if self._more is None:
                self._more = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._more])


class Gaps:
    """The places in a layer's rules that are left out, because other layers have a say."""

    __slots__ = ("_keys", "_looked_up", "_moved", "_places")

    def __init__(self, keys: Sequence[Key]) -> None:
        """Take the targets in their order; they are looked up as the layer's rules grow."""
        self._keys = keys
        self._looked_up = 0
        self._places: list[int] = []
        self._moved: list[int] = []
        """For each place, how many rules remain before it."""

    def look_up(self, rules: LayerRules) -> None:
        """Find the places of all targets up to the last rule that there is."""
        while self._looked_up < len(self._keys):
            key = self._keys[self._looked_up]
            place = bisect_left(rules.keys, key)
            if place == len(rules.keys):
                if not rules.complete:
                    return
            elif rules.keys[place] == key:
                self._moved.append(place - len(self._places))
                self._places.append(place)
            self._looked_up += 1

    def left(self, size: int) -> int:
        """Return how many of the first `size` rules remain."""
        return size - bisect_left(self._places, size)

    def types(self, rules: LayerRules) -> Iterable[str]:
        """Return the types of what is left out."""
        return (rules.keys[place][0] for place in self._places)

    def cut(self, texts: Sequence[bytes], start: int, stop: int) -> list[bytes]:
        """Return remaining rules by their places among the remaining ones."""
        first, last = self.range(start, stop)
        before, after = bisect_right(self._moved, start), bisect_right(self._moved, stop - 1)
        found = list(texts[first:last])
        for place in reversed(self._places[before:after]):
            del found[place - first]
        return found

    def range(self, start: int, stop: int) -> tuple[int, int]:
        """Return where remaining rules are among all."""
        return start + bisect_right(self._moved, start), stop + bisect_right(self._moved, stop - 1)


@dataclass(slots=True, weakref_slot=True, eq=False)
class Overlay:
    """What one set of layers adds to the parts that it shares with others, and leaves out of them."""

    parts: tuple[LayerKey, ...]
    keys: Sequence[Key]
    """Targets that other layers than a part's own decide, in their order."""
    texts: Sequence[bytes]
    """Their rules and removals, which come last."""
    rules: Sequence[Key]
    """Which of these are rules."""
    gaps: dict[LayerKey, Gaps] = field(init=False)

    def __post_init__(self) -> None:
        """Know no places yet."""
        self.gaps = {part: Gaps(self.keys) for part in self.parts}


class JoinedRules(Sequence[bytes]):
    """The rules of a sync. While parts still grow, its length is that of what can be served already."""

    __slots__ = ("_overlay", "_parts")

    def __init__(self, parts: Sequence[LayerRules], overlay: Overlay) -> None:
        """Join parts, in the order of the overlay's keys."""
        self._parts = parts
        self._overlay = overlay

    @property
    def growing(self) -> LayerRules | None:
        """The first part that is not complete."""
        return next((part for part in self._parts if not part.complete), None)

    def __len__(self) -> int:
        """Return how many rules there are so far; all, unless a part is growing."""
        return sum(stop - start for _, start, stop in self._pieces())

    @overload
    def __getitem__(self, place: int) -> bytes: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[bytes]: ...

    def __getitem__(self, place: Any) -> Any:
        """Return a rule, or a range of them."""
        start, stop, step = (place if isinstance(place, slice) else slice(place, place + 1)).indices(
            len(self)
        )
        found: list[bytes] = []
        for part, first, last in self._pieces():
            low, high = max(start, first) - first, min(stop, last) - first
            if low < high:
                found += (
                    self._overlay.texts[low:high]
                    if part is None
                    else self._overlay.gaps[part.key].cut(part.texts, low, high)
                )
        return found[::step] if isinstance(place, slice) else found[0]

    def counts(self) -> RuleCounts:
        """Count the rows of a table that has exactly these rules; for all rules, when they are complete."""
        number = Counter(rule_type for rule_type, _ in self._overlay.rules)
        for part in self._parts:
            gaps = self._overlay.gaps[part.key]
            gaps.look_up(part)
            number.update(part.counted)
            number.subtract(gaps.types(part))
        return RuleCounts(**{rule_type.lower(): count for rule_type, count in number.items()})

    def shared(self, start: int, stop: int) -> tuple[LayerKey, int, int] | None:
        """Name a range by the part that it is from, if it is from one and lacks nothing of it."""
        for part, first, last in self._pieces():
            if part is not None and first <= start < stop <= last:
                low, high = self._overlay.gaps[part.key].range(start - first, stop - first)
                return (part.key, low, high) if high - low == stop - start else None
        return None

    def _pieces(self) -> Iterable[tuple[LayerRules | None, int, int]]:
        """Yield the parts and where their rules begin and end; None stands for the overlay."""
        start = 0
        for part in self._parts:
            gaps = self._overlay.gaps[part.key]
            gaps.look_up(part)
            stop = start + gaps.left(len(part.keys))
            yield part, start, stop
            if not part.complete:
                return
            start = stop
        yield None, start, start + len(self._overlay.texts)
