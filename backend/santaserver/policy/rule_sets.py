"""Computes whole rule sets and the differences between them, once for all machines that share them.

States never change, so derived values are the same at any time, cached or not.
"""

from collections.abc import Sequence

from santaserver.db import Connection
from santaserver.policy import rule_log
from santaserver.policy.caches import PolicyCaches
from santaserver.policy.rule_text import Key, RuleSet, changes, differing_keys, rule_set
from santaserver.policy.states import PolicyState, RuleCounts


async def delta(
    connection: Connection, caches: PolicyCaches, bases: tuple[PolicyState, ...], target: PolicyState
) -> Sequence[bytes]:
    """Return what makes any of `bases` the target: the rule or removal of every target that differs.

    Without bases nothing is known of the machine: then it is every rule.
    """
    if not bases:
        return (await whole_set(connection, caches, target)).texts
    moved = tuple(base for base in bases if base != target)
    if not moved:
        return ()

    async def make() -> Sequence[bytes]:
        same, others = rule_log.same_signature(moved, target)
        found: dict[Key, bytes | None] = {}
        if same:
            found |= await _touched(connection, caches, same, target)
        if others:
            after = (await whole_set(connection, caches, target)).by_key()
            for base in others:
                before = (await whole_set(connection, caches, base)).by_key()
                found |= {key: after.get(key) for key in differing_keys(before, after)}
        return changes(found, {key: text for key, text in found.items() if text is not None})

    return await caches.deltas.get_or_make((moved, target), make)


async def whole_set(connection: Connection, caches: PolicyCaches, state: PolicyState) -> RuleSet:
    """Return every rule of a state, made from an earlier set of the same signature when there is one."""

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
    """Return what the rule table of a machine in `state` counts."""
    known = caches.counts.get(state)
    if known is None:
        known = caches.counts.put(state, (await whole_set(connection, caches, state)).counts())
    return known


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
    rows = [
        row
        for row in await rule_log.touched(connection, layers, target.seq, seqs, client.level)
        if any(version != row.after for version in row.before)
    ]
    wanted = {version for row in rows for version in (row.after, *row.before) if version is not None}
    texts = await rule_log.texts_of(connection, caches.texts, wanted)

    def sent(version: int | None) -> bytes | None:
        return None if version is None else texts[version].at(client)

    return {
        row.key: sent(row.after)
        for row in rows
        if any(sent(version) != sent(row.after) for version in row.before)
    }
