"""The caches of syncs beside the policy's: tags, and encoded responses."""

from collections.abc import Hashable
from dataclasses import dataclass

from santaserver import sizes
from santaserver.cache import CacheMemory, LruCache
from santaserver.policy.caches import PolicyCaches
from santaserver.policy.withholding import GuardBasis
from santaserver.sync.pages import SharedPart


@dataclass(frozen=True, slots=True)
class TagRule:
    """A tag, its layer, and its automatic membership."""

    id: int
    layer: int
    used: bool
    predicate: str | None
    groups: frozenset[str]
    enrollments: frozenset[int]


class SyncCaches(PolicyCaches):
    """The caches of one process."""

    def __init__(self, memory: CacheMemory | None = None) -> None:
        """Share a budget, or start a separate one."""
        memory = memory or CacheMemory()
        super().__init__(memory)
        self.tags: LruCache[int, tuple[TagRule, ...]] = LruCache(
            memory, "tags", lambda _, value: sizes.ENTRY + sum(map(_tag_size, value))
        )
        """Version of the layers → tags in their order."""
        self.guard: GuardBasis | None = None
        """What changes of tags by reports were judged by last; it is compared with what holds now."""
        self.settings: LruCache[tuple[int, int, bool], bytes] = LruCache(
            memory, "settings", lambda _, value: sizes.ENTRY + len(value)
        )
        """(signature, policy number, monitor window) → settings in a preflight response."""
        self.pages: LruCache[Hashable, SharedPart] = LruCache(
            memory, "rule_pages", lambda _, value: 3 * sizes.ENTRY + len(value.sent)
        )
        """Pages of rules by content, form and coding, as sent to Macs."""


def _tag_size(tag: TagRule) -> int:
    size = 2 * sizes.ENTRY + sizes.numbers(tag.enrollments) + len(tag.predicate or "")
    return size + sum(2 * sizes.TEXT + len(group) for group in tag.groups)
