"""The caches of the policy. Every key names an immutable value, so no entry becomes stale.

Rules and settings at a policy number never change, so entries need no invalidation and are valid in every
worker.
"""

import sys
from collections.abc import Sequence

from santaserver import sizes
from santaserver.cache import CacheMemory, LruCache
from santaserver.policy.capabilities import Capabilities
from santaserver.policy.rule_text import Key, RuleSet, RuleText
from santaserver.policy.states import PolicyState, RuleCounts

Layers = tuple[int, ...]
"""Ids of layers, the lowest rank first."""


class PolicyCaches:
    """The caches of one process."""

    def __init__(self, memory: CacheMemory | None = None) -> None:
        """Share a budget, or start a separate one."""
        memory = memory or CacheMemory()
        self.signatures: LruCache[tuple[Layers, int], int] = LruCache(
            memory, "policy_signatures", lambda key, _: sizes.ENTRY + sizes.numbers(key[0])
        )
        """(layers, code of the capabilities) → id of the policy signature."""
        self.layers: LruCache[int, tuple[Layers, Capabilities]] = LruCache(
            memory, "layers", lambda _, value: sizes.ENTRY + sizes.numbers(value[0])
        )
        """The inverse of it."""
        self.texts: LruCache[int, RuleText] = LruCache(memory, "rule_texts", _text_size, _is_held)
        """Rule version → what Macs are sent."""
        self.sets: LruCache[PolicyState, RuleSet] = LruCache(
            memory,
            "rule_sets",
            lambda _, value: sizes.ENTRY + len(value.texts) * 2 * sizes.POINTER + value.own,
        )
        """Whole rule sets: 16 bytes per rule, since texts are shared except for rewritten ones."""
        self.newest: LruCache[int, PolicyState] = LruCache(memory, "newest_sets", lambda *_: sizes.ENTRY)
        """Signature → state of its newest set: a later one is derived from it."""
        self.deltas: LruCache[tuple[tuple[PolicyState, ...], PolicyState], Sequence[bytes]] = LruCache(
            memory, "rule_changes", lambda key, value: 2 * sizes.ENTRY * len(key[0]) + sizes.texts(value)
        )
        """(bases, target) → what a normal sync sends; computed once for a whole fleet."""
        self.counts: LruCache[PolicyState, RuleCounts] = LruCache(
            memory, "rule_counts", lambda *_: 2 * sizes.ENTRY
        )
        """The row counts of a rule table in this state."""
        self.authorities: LruCache[PolicyState, frozenset[Key]] = LruCache(
            memory, "compilers", lambda _, value: 2 * sizes.ENTRY + len(value) * 3 * sizes.TEXT
        )
        """Targets whose output may run in this state."""


OWN = 2
"""References to an unshared part of a text: the text's own and the caller's. The cache adds one."""


TEXT_SIZE = 340
"""Bytes of a rule's text without its identifier and JSON: 100,000 rules have to fit into the usual budget."""


def _text_size(_: int, value: RuleText) -> int:
    return TEXT_SIZE + len(value.key[1]) + len(value.text)


def _is_held(value: RuleText) -> bool:
    """Return whether a rule set, a difference or a request in progress uses this text as well."""
    key, text = sys.getrefcount(value.key), sys.getrefcount(value.text)
    return sys.getrefcount(value) > OWN + 1 or key > OWN or (bool(value.text) and text > OWN)
