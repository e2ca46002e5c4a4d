"""The caches of the policy. Every key names an immutable value, so no entry becomes stale.

Rules and settings at a policy number never change, so entries need no invalidation and are valid in every
worker.
"""

import sys
from collections.abc import Sequence

from santaserver import sizes
from santaserver.cache import CacheMemory, LruCache
from santaserver.policy.capabilities import Capabilities
from santaserver.policy.large_change import Preparer
from santaserver.policy.layer_rules import LayerKey, LayerRules, Overlay, OverlayKey, Span
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
        self.layer_changes: LruCache[tuple[int, int], int] = LruCache(
            memory, "layer_changes", lambda *_: 2 * sizes.ENTRY
        )
        """(layer, policy number) → the newest change of the layer that is not after it."""
        self.layer_sizes: LruCache[tuple[int, Span], int] = LruCache(
            memory, "layer_sizes", lambda *_: 2 * sizes.ENTRY
        )
        """(layer, span) → how many versions of a layer it concerns, up to a limit."""
        self.layer_rules: LruCache[LayerKey, LayerRules] = LruCache(
            memory,
            "layer_rules",
            lambda _, value: 3 * sizes.ENTRY + len(value.keys) * 2 * sizes.POINTER + value.own,
        )
        """Parts of large changes and sets, shared by all sets of layers; texts are shared with `texts`."""
        self.newest_layers: LruCache[tuple[int, int], LayerKey] = LruCache(
            memory, "newest_layers", lambda *_: 2 * sizes.ENTRY
        )
        """(layer, code of the capabilities) → its newest whole part: a later one is derived from it."""
        self.shared_keys: LruCache[tuple[LayerKey, int, Span], Sequence[Key]] = LruCache(
            memory, "shared_targets", lambda _, value: 2 * sizes.ENTRY + len(value) * 3 * sizes.TEXT
        )
        """(a large layer's part, another layer, its span) → targets that both decide."""
        self.overlays: LruCache[OverlayKey, Overlay] = LruCache(memory, "rule_overlays", _overlay_size)
        """What each set of layers adds to the parts."""
        self.preparer: Preparer | None = None
        """Makes large changes; without one, whoever needs them does."""


def _overlay_size(key: OverlayKey, value: Overlay) -> int:
    fixed = 4 * sizes.ENTRY + sizes.numbers(key[0]) + sizes.texts(value.texts)
    return fixed + len(value.keys) * (3 * sizes.TEXT + 2 * len(value.parts) * sizes.NUMBER)


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
