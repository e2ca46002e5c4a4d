"""What a process remembers between requests. Every key names an immutable thing, so nothing goes stale.

A policy number fixes rules and settings for ever, so entries need no invalidation and are right in
every worker. Sizes are bounded by what weighs: rules, not entries.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from santaserver.sync.delta import Key, RuleSet, RuleText
from santaserver.sync.pages import SharedPart
from santaserver.sync.states import PolicyState, RuleCounts

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


def _one(_: object) -> int:
    return 1


class LruCache(Generic[KeyT, ValueT]):
    """A dictionary of bounded weight that drops what was not used for longest."""

    def __init__(self, capacity: int, weigh: Callable[[ValueT], int] = _one) -> None:
        """Keep entries of `capacity` together, each weighing 1 unless told."""
        self._capacity = capacity
        self._weigh = weigh
        self._weight = 0
        self._entries: OrderedDict[KeyT, ValueT] = OrderedDict()
        self._under_way: dict[KeyT, asyncio.Future[ValueT]] = {}

    def get(self, key: KeyT) -> ValueT | None:
        """Return an entry and mark it as used."""
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key]
        return None

    def put(self, key: KeyT, value: ValueT) -> ValueT:
        """Store an entry and return it; one that is heavier than the whole cache is not kept."""
        if key in self._entries:
            self._weight -= self._weigh(self._entries.pop(key))
        self._entries[key] = value
        self._weight += self._weigh(value)
        while self._weight > self._capacity:
            self._weight -= self._weigh(self._entries.popitem(last=False)[1])
        return value

    async def get_or_make(self, key: KeyT, make: Callable[[], Awaitable[ValueT]]) -> ValueT:
        """Return an entry, making it once however many ask for it at the same time."""
        while True:
            known = self.get(key)
            if known is not None:
                return known
            other = self._under_way.get(key)
            if other is None:
                break
            await asyncio.wait([other])
            if not other.cancelled():
                return other.result()
        return await self._make(key, make)

    async def _make(self, key: KeyT, make: Callable[[], Awaitable[ValueT]]) -> ValueT:
        mine = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            value = await make()
        except BaseException:
            mine.cancel()
            raise
        finally:
            del self._under_way[key]
        mine.set_result(value)
        return self.put(key, value)


@dataclass(frozen=True, slots=True)
class TagRule:
    """A tag, its layer, and what makes a machine its member without anybody's doing."""

    id: int
    layer: int
    used: bool
    predicate: str | None
    groups: frozenset[str]
    enrollments: frozenset[int]


Layers = tuple[int, ...]
"""Ids of layers, the lowest rank first."""


def _rules(value: RuleSet) -> int:
    return len(value.texts) + 10


def _texts(value: Sequence[bytes]) -> int:
    return len(value) + 10


def _bytes(value: SharedPart) -> int:
    return len(value.sent)


@dataclass(frozen=True)
class SyncCaches:
    """The caches of one process."""

    signatures: LruCache[tuple[Layers, int], int] = field(default_factory=lambda: LruCache(8192))
    """(layers, level) → id of the policy signature."""
    layers: LruCache[int, tuple[Layers, int]] = field(default_factory=lambda: LruCache(8192))
    """The same the other way round."""
    tags: LruCache[int, tuple[TagRule, ...]] = field(default_factory=lambda: LruCache(4))
    """Version of the layers → tags in their order."""
    settings: LruCache[tuple[int, int, bool], bytes] = field(default_factory=lambda: LruCache(4096))
    """(signature, number of the newest setting, monitor window) → the settings part of a preflight answer."""
    texts: LruCache[int, RuleText] = field(default_factory=lambda: LruCache(400_000))
    """Rule version → what Macs are sent; about 450 bytes each."""
    sets: LruCache[PolicyState, RuleSet] = field(default_factory=lambda: LruCache(1_500_000, _rules))
    """Whole rule sets: 16 bytes a rule, for their texts are shared."""
    newest: LruCache[int, PolicyState] = field(default_factory=lambda: LruCache(8192))
    """Signature → state of the newest set made of it: a later one is made from that."""
    deltas: LruCache[tuple[tuple[PolicyState, ...], PolicyState], Sequence[bytes]] = field(
        default_factory=lambda: LruCache(500_000, _texts)
    )
    """(bases, target) → what a normal sync sends; a change is worked out once for a whole fleet."""
    pages: LruCache[Hashable, SharedPart] = field(default_factory=lambda: LruCache(32 * 2**20, _bytes))
    """Pages of rules by content, form and coding, as Macs are sent them: 32 MiB."""
    counts: LruCache[PolicyState, RuleCounts] = field(default_factory=lambda: LruCache(8192))
    """What a rule table in this state counts."""
    authorities: LruCache[PolicyState, frozenset[Key]] = field(default_factory=lambda: LruCache(8192))
    """Targets whose output may run in this state."""
