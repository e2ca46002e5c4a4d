"""Collects what a preflight proves about a machine's rules; preflight.py decides by it."""

import hashlib
from dataclasses import replace

from santaserver.db import Connection
from santaserver.policy import rule_sets
from santaserver.policy.capabilities import by_version
from santaserver.policy.head import PolicyHead
from santaserver.policy.states import PolicyState, RuleCounts
from santaserver.protocol.messages import PreflightRequest
from santaserver.sync.caches import SyncCaches
from santaserver.sync.preflight import Evidence, counts_fit, needs_counts, possible_states
from santaserver.sync.repository import MachineSnapshot, clip

MODES = {1: "MONITOR", 2: "LOCKDOWN", 3: "STANDALONE"}
KNOWN_MODES = frozenset(MODES.values())


async def evidence_of(
    connection: Connection,
    caches: SyncCaches,
    machine: MachineSnapshot,
    request: PreflightRequest,
    target: PolicyState,
    head: PolicyHead,
    *,
    conflict: bool,
) -> Evidence:
    """Return it; what a client that takes all rules at each sync says of them proves nothing."""
    states = tuple(map(head.same_rules, possible_states(machine.known)))
    target = head.same_rules(target)
    evidence = Evidence(
        wants_clean=request.request_clean_sync,
        client_mode=client_mode(request.client_mode),
        identity_conflict=conflict,
        compiler_withdrawn=await rule_sets.compiler_withdrawn(connection, caches, states, target),
        turn=hashlib.blake2b(machine.machine_id.encode(), digest_size=1).digest()[0] / 255,
    )
    if by_version(request.santa_version).whole_set:
        withdrawn = await rule_sets.rules_withdrawn(connection, caches, states, target)
        return replace(evidence, rules_withdrawn=withdrawn)
    evidence = replace(evidence, rules_hash=clip(request.rules_hash))
    known, reported = machine.known, _reported(request)
    empty = reported == RuleCounts() and evidence.rules_hash != known.acked_hash
    if known.acked is None or not (empty or needs_counts(known, evidence)):
        return evidence
    expected = [await rule_sets.counts(connection, caches, state) for state in states]
    if needs_counts(known, evidence):
        fits = any(counts_fit(reported, counts, evidence.client_mode) for counts in expected)
        evidence = replace(evidence, counts_fit=fits)
    missing = empty and all(counts != RuleCounts() for counts in expected)
    differs = missing or evidence.counts_fit is False
    return replace(evidence, rules_missing=missing, expected=expected[0] if differs else None)


def client_mode(reported: str | int) -> str:
    """Return the mode's name, empty for words this version does not know."""
    name = MODES.get(reported, "") if isinstance(reported, int) else reported
    return name if name in KNOWN_MODES else ""


def _reported(request: PreflightRequest) -> RuleCounts:
    return RuleCounts(
        binary=max(request.binary_rule_count - request.transitive_rule_count, 0),
        certificate=request.certificate_rule_count,
        teamid=request.teamid_rule_count,
        signingid=request.signingid_rule_count,
        cdhash=request.cdhash_rule_count,
    )
