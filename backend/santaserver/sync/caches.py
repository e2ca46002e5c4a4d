"""What a process remembers between requests. Every key names an immutable thing, so nothing goes stale.

A policy number fixes rules and settings for ever, so entries need no invalidation and are right in
every worker.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from santaserver.sync.delta import Key
from santaserver.sync.states import PolicyState, RuleCounts
from santaserver.sync.wire import RuleAnswer

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class LruCache(Generic[KeyT, ValueT]):
    """A dictionary of bounded size that drops what was not used for longest."""

    def __init__(self, size: int) -> None:
        """Keep at most `size` entries."""
        self._size = size
        self._entries: OrderedDict[KeyT, ValueT] = OrderedDict()

    def get(self, key: KeyT) -> ValueT | None:
        """Return an entry and mark it as used."""
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key]
        return None

    def put(self, key: KeyT, value: ValueT) -> ValueT:
        """Store an entry and return it."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
        return value


@dataclass(frozen=True)
class SyncCaches:
    """The caches of one process."""

    signatures: LruCache[tuple[tuple[int, ...], int], int] = field(default_factory=lambda: LruCache(4096))
    """(layers, level) → id of the policy signature."""
    settings: LruCache[tuple[tuple[int, ...], int], bytes] = field(default_factory=lambda: LruCache(64))
    """(layers, seq) → the settings part of a preflight answer."""
    counts: LruCache[PolicyState, RuleCounts] = field(default_factory=lambda: LruCache(1024))
    """What a rule table in this state counts."""
    changed_keys: LruCache[tuple[tuple[PolicyState, ...], PolicyState], list[Key]] = field(
        default_factory=lambda: LruCache(16)
    )
    """(bases, target) → sorted targets to send, where signatures differ."""
    rendered: LruCache[PolicyState, dict[Key, RuleAnswer]] = field(default_factory=lambda: LruCache(3))
    """Whole rendered sets, for comparing different signatures."""
