"""Finds the rules of one page of a frozen session, and other facts that need whole rule sets.

A session's pages are cut from its bases and target, which never move: any request for a page gets
the same answer, whatever is changed meanwhile.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from santaserver.db import Connection
from santaserver.sync import rule_log
from santaserver.sync.caches import SyncCaches
from santaserver.sync.delta import (
    TOMBSTONE,
    Key,
    changes,
    differing_keys,
    earliest_seq,
    render,
    whole_set,
)
from santaserver.sync.rule_log import FIRST_KEY, signature_of
from santaserver.sync.states import Kind, PolicyState, RuleCounts, Session
from santaserver.sync.wire import RuleAnswer

PAGE_SIZE = 1000
"""Rules in a page: about 125 kB of JSON."""


@dataclass(frozen=True, slots=True)
class RulesPage:
    """Rules to send; `last` is the target to continue after, None on the last page."""

    rules: list[RuleAnswer]
    last: Key | None


async def load(
    connection: Connection, caches: SyncCaches, session: Session, after: Key, sent_before: int
) -> RulesPage:
    """Return the page of `session` that follows the target `after`."""
    signature = await signature_of(connection, session.target.signature)
    layers, seq = signature.layers, session.target.seq
    limit = PAGE_SIZE + 1
    if session.kind is not Kind.NORMAL:
        rows = await rule_log.winners(connection, layers, seq, after, limit)
    else:
        since = earliest_seq(session.bases, session.target)
        if since is not None:
            rows = await rule_log.changed_winners(connection, layers, since, seq, after, limit)
        else:
            keys = await _changed_keys(connection, caches, session)
            start = bisect_right(keys, after)
            rows = await rule_log.winners_of(connection, layers, seq, keys[start : start + limit])
    page = rows[:PAGE_SIZE]
    last = page[-1].key if len(rows) > PAGE_SIZE else None
    if session.kind is Kind.NORMAL:
        return RulesPage(changes(page, signature.level), last)
    rules = whole_set(page, signature.level)
    if last is None and sent_before + len(rules) == 0:
        rules = [TOMBSTONE]
    return RulesPage(rules, last)


async def compiler_withdrawn(
    connection: Connection, bases: Sequence[PolicyState], target: PolicyState
) -> bool:
    """Tell whether any state the machine may be in had a compiler rule that the target has not."""
    moved = [base for base in bases if base != target]
    if not moved:
        return False
    layers = (await signature_of(connection, target.signature)).layers
    for base in moved:
        base_layers = (await signature_of(connection, base.signature)).layers
        if await rule_log.compiler_withdrawn(connection, base, base_layers, layers, target.seq):
            return True
    return False


async def expected_counts(connection: Connection, caches: SyncCaches, state: PolicyState) -> RuleCounts:
    """Return what the rule table of a machine in `state` counts."""
    known = caches.counts.get(state)
    if known is None:
        rules = await _rendered(connection, caches, state)
        known = caches.counts.put(state, rule_log.count([rule_type for rule_type, _ in rules]))
    return known


async def _changed_keys(connection: Connection, caches: SyncCaches, session: Session) -> list[Key]:
    known = caches.changed_keys.get((session.bases, session.target))
    if known is None:
        after = await _rendered(connection, caches, session.target)
        keys: set[Key] = set()
        for base in session.bases:
            keys |= differing_keys(await _rendered(connection, caches, base), after)
        known = caches.changed_keys.put((session.bases, session.target), sorted(keys))
    return known


async def _rendered(connection: Connection, caches: SyncCaches, state: PolicyState) -> dict[Key, RuleAnswer]:
    known = caches.rendered.get(state)
    if known is None:
        signature = await signature_of(connection, state.signature)
        rows = await rule_log.winners(connection, signature.layers, state.seq, FIRST_KEY, None)
        rules = ((row.key, render(row, signature.level)) for row in rows)
        known = caches.rendered.put(state, {key: rule for key, rule in rules if rule is not None})
    return known
