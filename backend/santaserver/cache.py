"""The caches of a process, within one memory budget.

An entry that is asked for costs its reader a look into a dictionary and nothing else: there is no order
to keep. Instead every cache has what was used lately and what was not. When the budget is exhausted,
entries that were not used lately leave, from the cache that has most of them; when none are left, all
caches begin a new period. A flood of one cache evicts its own entries first.

No decision may depend on an entry being there: each of them can be made again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")

log = logging.getLogger(__name__)

DEFAULT_LIMIT = 64 * 2**20
ROOM = 32
"""A full budget is reduced by this fraction, so that not every new entry causes evictions."""
COMPLAIN_EVERY = 600.0
PERIODS = 3
"""In these all entries are evicted, also those that were in use at the first pass."""


@dataclass(frozen=True, slots=True)
class CacheNumbers:
    """The statistics of one cache."""

    name: str
    size: int
    entries: int
    evictions: int


class CacheMemory:
    """The memory budget of all caches of a process."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        """Let caches take `limit` bytes, as estimated."""
        self.limit = limit
        self.used = 0
        self._ceiling = limit
        self._silent_until = 0.0
        self._caches: list[LruCache[Any, Any]] = []

    def register(self, cache: "LruCache[Any, Any]") -> None:
        """Count a cache in."""
        self._caches.append(cache)

    def take(self, size: int) -> None:
        """Count an entry's bytes; evict others when there are too many."""
        self.used += size
        if self.used > self._ceiling:
            self._make_room()

    def numbers(self) -> Iterator[CacheNumbers]:
        """Return the statistics of each cache."""
        for cache in self._caches:
            yield CacheNumbers(cache.name, cache.size, len(cache), cache.evictions)

    def _make_room(self) -> None:
        goal = self.limit - self.limit // ROOM
        for period in range(PERIODS):
            if period == PERIODS - 1:
                self._complain()
            self._drop_unused(goal)
            if self.used <= goal:
                break
            for cache in self._caches:
                cache.begin_period()
        # Entries in use cannot be evicted; the next attempt is at a noticeably larger size.
        self._ceiling = max(self.limit, self.used + self.limit // ROOM)

    def _complain(self) -> None:
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + COMPLAIN_EVERY
            log.warning(
                "the caches are too small for the syncs under way, which slows them down: "
                "raise CACHE_MEMORY_MIB (now %d; 100,000 rules need about 55)",
                self.limit // 2**20,
            )

    def _drop_unused(self, goal: int) -> None:
        while self.used > goal:
            cache = max(self._caches, key=lambda cache: cache.unused)
            if not cache.unused:
                return
            cache.drop_unused(min(self.used - goal, cache.unused // 2 + 1))


class LruCache(Generic[KeyT, ValueT]):
    """One cache. Values never change and are never None."""

    def __init__(
        self,
        memory: CacheMemory,
        name: str,
        measure: Callable[[KeyT, ValueT], int],
        is_held: Callable[[ValueT], bool] | None = None,
    ) -> None:
        """Keep entries of `measure` bytes; entries in use stay, because dropping them would free nothing."""
        self.name = name
        self.size = 0
        self.unused = 0
        """Bytes of what was not used lately."""
        self.evictions = 0
        self._memory = memory
        self._measure = measure
        self._is_held = is_held
        self._used: dict[KeyT, ValueT] = {}
        self._unused: dict[KeyT, ValueT] = {}
        self._under_way: dict[KeyT, asyncio.Future[ValueT]] = {}
        memory.register(self)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._used) + len(self._unused)

    def get(self, key: KeyT) -> ValueT | None:
        """Return an entry and mark it as used."""
        value = self._used.get(key)
        if value is not None or not self._unused:
            return value
        value = self._unused.pop(key, None)
        if value is not None:
            self.unused -= self._measure(key, value)
            self._used[key] = value
        return value

    def put(self, key: KeyT, value: ValueT) -> ValueT:
        """Store an entry and return it; one that would take half of the budget is not kept."""
        self._remove(key)
        size = self._measure(key, value)
        if size <= self._memory.limit // 2:
            self._used[key] = value
            self.size += size
            self._memory.take(size)
        return value

    async def get_or_make(self, key: KeyT, make: Callable[[], Awaitable[ValueT]]) -> ValueT:
        """Return an entry; concurrent callers share one computation of it."""
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

    def begin_period(self) -> None:
        """Mark all entries as not recently used; called by the budget when no such entries are left."""
        self._used, self._unused = {}, self._unused | self._used
        self.unused = self.size

    def drop_unused(self, size: int) -> None:
        """Drop at least so many bytes of what was not used lately, the oldest first; for the budget."""
        goal = self.unused - size
        while self.unused > goal and self._unused:
            key = next(iter(self._unused))
            value = self._unused.pop(key)
            freed = self._measure(key, value)
            self.unused -= freed
            if self._is_held is not None and self._is_held(value):
                self._used[key] = value
            else:
                self.evictions += 1
                self._release(freed)
        if not self._unused:
            self.unused = 0

    def _remove(self, key: KeyT) -> None:
        value = self._used.pop(key, None)
        if value is None and self._unused:
            value = self._unused.pop(key, None)
            if value is not None:
                self.unused -= self._measure(key, value)
        if value is not None:
            self._release(self._measure(key, value))

    def _release(self, size: int) -> None:
        self.size -= size
        self._memory.used -= size
