"""Computes whole rule sets and the differences between them, once for all machines that share them.

States never change, so derived values are the same at any time, cached or not.
"""

import sys
from collections.abc import Hashable, Sequence
from functools import partial

from santaserver.db import Connection
from santaserver.policy import layer_log, preparation, rule_log
from santaserver.policy.caches import PolicyCaches
from santaserver.policy.large_change import Preparer, Wanted
from santaserver.policy.layer_rules import JoinedRules, Span
from santaserver.policy.rule_text import Key, RuleSet, changes, differing_keys, rule_set
from santaserver.policy.states import PolicyState, RuleCounts

ALL = sys.maxsize


async def delta(
    connection: Connection,
    caches: PolicyCaches,
    bases: tuple[PolicyState, ...],
    target: PolicyState,
    number: int = 1,
) -> Sequence[bytes]:
    """Return what makes any of `bases` the target: the rule or removal of every target that differs.

    Without bases nothing is known of the machine: then it is every rule. A large difference may be complete
    later: these are at least `number` rules, or all. Raises `NotPrepared`.
    """
    if not bases:
        return await everything(connection, caches, target, number)
    moved = tuple(base for base in bases if base != target)
    known = caches.deltas.get((moved, target)) if moved else ()
    if known is not None:
        return known
    same, others = rule_log.same_signature(moved, target)
    key, make = (moved, target), partial(_delta, connection, caches, same, others, target)
    if caches.preparer is None:
        return await caches.deltas.get_or_make(key, make)
    if not others:
        return await _same_layers(connection, caches, caches.preparer, key, number)
    wanted = await _wanted(connection, caches, target.signature, Span((), target.seq))
    if not wanted.large:
        return await caches.deltas.get_or_make(key, make)
    name = tuple([await _name(connection, caches, state) for state in (*moved, target)])
    made = caches.preparer.made(name, lambda own: _delta(own, caches, same, others, target))
    return caches.deltas.put(key, made)


async def _same_layers(
    connection: Connection,
    caches: PolicyCaches,
    preparer: Preparer,
    key: tuple[tuple[PolicyState, ...], PolicyState],
    number: int,
) -> Sequence[bytes]:
    """Return a difference that is due to changes of rules alone."""
    bases, target = key
    span = Span(tuple(sorted({base.seq for base in bases})), target.seq)
    wanted = await _wanted(connection, caches, target.signature, span)
    if wanted.large:
        return preparer.joined(wanted, number)
    # Between numbers at which none of the layers changed there is no difference.
    same = tuple(PolicyState(target.signature, seq) for seq in wanted.span.bases)
    target = PolicyState(target.signature, wanted.span.seq)
    if not same:
        return caches.deltas.put(key, ())
    return await caches.deltas.get_or_make(
        (same, target), partial(_delta, connection, caches, same, (), target)
    )


async def _delta(
    connection: Connection,
    caches: PolicyCaches,
    same: Sequence[PolicyState],
    others: Sequence[PolicyState],
    target: PolicyState,
) -> Sequence[bytes]:
    found: dict[Key, bytes | None] = {}
    if same:
        found |= await _touched(connection, caches, same, target)
    if others:
        after = (await _whole_set(connection, caches, target)).by_key()
        for base in others:
            before = (await _whole_set(connection, caches, base)).by_key()
            found |= {key: after.get(key) for key in differing_keys(before, after)}
    return changes(found, {key: text for key, text in found.items() if text is not None})


async def everything(
    connection: Connection, caches: PolicyCaches, state: PolicyState, number: int
) -> Sequence[bytes]:
    """Return every rule of a state, in the order in which it is sent: at least `number` of them, or all."""
    if caches.preparer is not None:
        wanted = await _wanted(connection, caches, state.signature, Span((), state.seq))
        if wanted.large:
            return caches.preparer.joined(wanted, number)
    return (await _whole_set(connection, caches, state)).texts


async def whole_set(connection: Connection, caches: PolicyCaches, state: PolicyState) -> RuleSet:
    """Return every rule of a state. Raises `NotPrepared` when there are many and they are not known."""
    known = caches.sets.get(state)
    if known is not None:
        return known
    if caches.preparer is not None:
        wanted = await _wanted(connection, caches, state.signature, Span((), state.seq))
        if wanted.large:
            name = await _name(connection, caches, state)
            made = caches.preparer.made(name, lambda own: _whole_set(own, caches, state))
            return caches.sets.put(state, made)
    return await _whole_set(connection, caches, state)


async def _whole_set(connection: Connection, caches: PolicyCaches, state: PolicyState) -> RuleSet:
    """Make a set from an earlier one of the same signature when there is one."""

    async def make() -> RuleSet:
        newest = caches.newest.get(state.signature)
        start = caches.sets.get(newest) if newest is not None and newest.seq < state.seq else None
        if newest is not None and start is not None:
            rules = start.by_key()
            for key, text in (await _touched(connection, caches, [newest], state)).items():
                if text is None:
                    rules.pop(key, None)
                else:
                    rules[key] = text
        else:
            rules = await _winners(connection, caches, state)
        if newest is None or newest.seq < state.seq:
            caches.newest.put(state.signature, state)
        return rule_set(rules)

    return await caches.sets.get_or_make(state, make)


async def counts(connection: Connection, caches: PolicyCaches, state: PolicyState) -> RuleCounts:
    """Return what the rule table of a machine in `state` counts. Raises `NotPrepared`."""
    known = caches.counts.get(state)
    if known is None:
        rules: RuleSet | JoinedRules | None = None
        if caches.preparer is not None:
            wanted = await _wanted(connection, caches, state.signature, Span((), state.seq))
            rules = caches.preparer.joined(wanted, ALL) if wanted.large else None
        rules = rules or await _whole_set(connection, caches, state)
        known = caches.counts.put(state, rules.counts())
    return known


async def _name(connection: Connection, caches: PolicyCaches, state: PolicyState) -> Hashable:
    """Name a state without the id of its signature."""
    layers, client = await rule_log.signature_of(connection, caches, state.signature)
    return layers, client.code, state.seq


async def _wanted(connection: Connection, caches: PolicyCaches, signature: int, span: Span) -> Wanted:
    """Return what of a span each layer decides, and which layers have much of it."""
    layers, client = await rule_log.signature_of(connection, caches, signature)
    changes: dict[tuple[int, int], int] = {}
    missing = []
    for moment in ((layer, seq) for layer in layers for seq in (*span.bases, span.seq)):
        known = caches.layer_changes.get(moment)
        if known is None:
            missing.append(moment)
        else:
            changes[moment] = known
    if missing:
        for moment, change in (await layer_log.last_changes(connection, missing)).items():
            changes[moment] = caches.layer_changes.put(moment, change)

    def own_span(layer: int) -> Span:
        return span.mapped(lambda seq: changes[layer, seq])

    spans = {layer: own_span(layer) for layer in layers}
    large = []
    for layer, own in spans.items():
        if bool(own.bases) != bool(span.bases):
            continue  # nothing changed
        size = caches.layer_sizes.get((layer, own))
        if size is None:
            limit = preparation.LARGE + 1
            size = caches.layer_sizes.put((layer, own), await layer_log.size(connection, layer, own, limit))
        if size > preparation.LARGE:
            large.append(layer)
    whole = span.mapped(lambda seq: max(changes[layer, seq] for layer in layers))
    return Wanted(layers, client, whole, spans, tuple(large))


async def rules_withdrawn(
    connection: Connection, caches: PolicyCaches, states: Sequence[PolicyState], target: PolicyState
) -> bool:
    """Tell whether any of the states has a rule for a target that has none any more."""
    moved = [state for state in states if state != target]
    if not moved:
        return False
    kept = set((await whole_set(connection, caches, target)).keys)
    for state in moved:
        if not kept.issuperset((await whole_set(connection, caches, state)).keys):
            return True
    return False


async def compiler_withdrawn(
    connection: Connection, caches: PolicyCaches, states: Sequence[PolicyState], target: PolicyState
) -> bool:
    """Tell whether in any of the states a compiler's output might run that may not in the target."""
    moved = [state for state in states if state != target]
    if not moved:
        return False
    kept = await _authority(connection, caches, target)
    for state in moved:
        if await _authority(connection, caches, state) - kept:
            return True
    return False


async def _authority(connection: Connection, caches: PolicyCaches, state: PolicyState) -> frozenset[Key]:
    known = caches.authorities.get(state)
    if known is None:
        layers, client = await rule_log.signature_of(connection, caches, state.signature)
        versions = await rule_log.compilers(connection, layers, state.seq, client.level)
        texts = await rule_log.texts_of(connection, caches.texts, versions)
        granted = (text for text in texts.values() if text.grants(client))
        known = caches.authorities.put(state, frozenset(text.key for text in granted))
    return known


async def _winners(connection: Connection, caches: PolicyCaches, state: PolicyState) -> dict[Key, bytes]:
    layers, client = await rule_log.signature_of(connection, caches, state.signature)
    versions = await rule_log.winners(connection, layers, state.seq, client.level)
    texts = await rule_log.texts_of(connection, caches.texts, versions)
    sent = ((text.key, text.at(client)) for text in texts.values())
    return {key: text for key, text in sent if text is not None}


async def _touched(
    connection: Connection, caches: PolicyCaches, bases: Sequence[PolicyState], target: PolicyState
) -> dict[Key, bytes | None]:
    """Return the rules at the target, None for no rule, of all targets where a base has another one."""
    layers, client = await rule_log.signature_of(connection, caches, target.signature)
    seqs = [base.seq for base in bases]
    rows = await rule_log.touched(connection, layers, target.seq, seqs, client.level)
    return await rule_log.sent(connection, caches, rows, client)
