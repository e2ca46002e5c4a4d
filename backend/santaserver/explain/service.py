"""Explains rules and settings of one machine."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from santaserver.db import Connection
from santaserver.errors import NotFound, Unprocessable
from santaserver.explain import repository
from santaserver.explain.repository import MachinePolicy, WinningRule
from santaserver.explain.schemas import (
    Candidate,
    EffectiveRule,
    Explanation,
    Outcome,
    SettingExplanation,
    SettingsExplanation,
    TargetExplanation,
)
from santaserver.explain.verdict import Claim, rule_on, sent_policy, winner
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.policy.layer_names import layer_names
from santaserver.policy.targets import Policy, RuleType, check_identifier
from santaserver.scope import Scope
from santaserver.sync_settings.log import LayeredSettings, settings_at
from santaserver.sync_settings.schemas import ClientMode, SyncSettings

ORDER: Sequence[RuleType] = ("CDHASH", "BINARY", "SIGNINGID", "CERTIFICATE", "TEAMID")
"""Santa uses the first of these that has a rule."""


async def explain(
    connection: Connection,
    scope: Scope,
    machine_id: str,
    identifiers: Mapping[RuleType, str | None],
    now: datetime,
) -> Explanation:
    """Return what decides about a program with these identifiers on a machine."""
    machine = await _machine_policy(connection, scope, machine_id)
    asked = [(kind, identifiers[kind]) for kind in ORDER if identifiers.get(kind)]
    if not asked:
        raise Unprocessable("Give at least one identifier of the program: a hash, or who signed it")
    names = await layer_names(connection, machine.layers)
    targets = [
        await _target(connection, machine, names, kind, check_identifier(kind, identifier or ""))
        for kind, identifier in asked
    ]
    decided_by = next((target.rule_type for target in targets if target.policy is not None), None)
    for target in targets:
        if decided_by is not None and target.rule_type != decided_by:
            _outrank(target, decided_by)
    settings = await settings_at(connection, machine.layers, machine.head)
    monitored = _monitored(machine, settings, now)
    return Explanation(
        machine_id=machine.machine_id,
        seq=machine.head,
        confirmed=machine.confirmed,
        layers=[names[layer] for layer in machine.layers if layer in names],
        targets=targets,
        decided_by=decided_by,
        client_mode="MONITOR" if monitored else _sent_mode(machine, settings),
        mode_layer=None if monitored else names.get(settings.owners.get("client_mode", 0)),
        monitored=monitored,
    )


async def explain_settings(
    connection: Connection, scope: Scope, machine_id: str, now: datetime
) -> SettingsExplanation:
    """Return the settings that a machine gets, and their layers."""
    machine = await _machine_policy(connection, scope, machine_id)
    names = await layer_names(connection, machine.layers)
    settings = await settings_at(connection, machine.layers, machine.head)
    origins = {
        key: SettingExplanation(layer=names.get(settings.owners.get(key, 0)), locked=key in settings.locked)
        for key in SyncSettings.model_fields
    }
    return SettingsExplanation(
        machine_id=machine.machine_id,
        settings=settings.values.model_copy(update={"client_mode": _sent_mode(machine, settings)}),
        origins=origins,
        monitored=_monitored(machine, settings, now),
    )


def _sent_mode(machine: MachinePolicy, settings: LayeredSettings) -> ClientMode:
    return cast("ClientMode", machine.client.mode(settings.values.client_mode))


def _monitored(machine: MachinePolicy, settings: LayeredSettings, now: datetime) -> bool:
    open_window = machine.monitor_until is not None and machine.monitor_until > now
    return open_window and settings.can_be_monitored


def _outrank(target: TargetExplanation, decided_by: RuleType) -> None:
    """Mark a target's best rule as one that Santa does not evaluate."""
    for candidate in target.candidates:
        if candidate.outcome == "wins":
            candidate.outcome = "outranked"
            candidate.why = (
                f"Santa uses the {decided_by} rule, which takes precedence over {target.rule_type}"
            )


async def effective_rules(
    connection: Connection, scope: Scope, machine_id: str, cursor: str | None, limit: int, text: str
) -> Page[EffectiveRule]:
    """Return a page of the rules that a machine should have, each with the layer that it comes from."""
    machine = await _machine_policy(connection, scope, machine_id)
    key = decode_cursor(cursor, (str, str))
    after = (str(key[0]), str(key[1])) if key else ("", "")
    names = await layer_names(connection, machine.layers)
    rows = await repository.effective_rules(connection, machine, after, limit + 1, text)
    page = rows[:limit]
    following = encode_cursor((page[-1].rule_type, page[-1].identifier)) if len(rows) > limit else None
    return Page(items=[_effective(row, machine, names) for row in page], next_cursor=following)


def _effective(rule: WinningRule, machine: MachinePolicy, names: Mapping[int, str]) -> EffectiveRule:
    sent = sent_policy(Claim(0, rule.rule_type, rule.policy, rule.locked, rule.needs_level), machine.client)
    return EffectiveRule(
        rule_id=rule.rule_id,
        rule_type=rule.rule_type,
        identifier=rule.identifier,
        policy=cast("Policy", sent),
        cel_expr=rule.cel_expr,
        layer=names[rule.layer_id],
        locked=rule.locked,
        expires_at=rule.expires_at,
        comment=rule.comment,
    )


async def _machine_policy(connection: Connection, scope: Scope, machine_id: str) -> MachinePolicy:
    machine = await repository.machine_policy(connection, scope, machine_id)
    if machine is None:
        raise NotFound("There is no such machine, or it has never started a sync")
    return machine


async def _target(
    connection: Connection, machine: MachinePolicy, names: Mapping[int, str], kind: RuleType, identifier: str
) -> TargetExplanation:
    rows = await repository.candidates(connection, machine, kind, identifier)
    ranks = {layer: rank for rank, layer in enumerate(machine.layers)}
    claims = [
        (Claim(ranks[row.layer_id], kind, row.policy, row.locked, row.needs_level), row) for row in rows
    ]
    best = winner((claim for claim, _ in claims), machine.client)
    skipped = bool(claims) and best is not claims[0][0]
    candidates = []
    for claim, row in sorted(claims, key=lambda pair: pair[0].rank):
        ruling = rule_on(claim, best or claim, machine.client, machine.name, skipped=skipped)
        candidates.append(
            Candidate(
                rule_id=row.rule_id,
                layer=names[row.layer_id],
                policy=row.policy,
                locked=row.locked,
                outcome=cast("Outcome", ruling.outcome),
                why=ruling.why,
            )
        )
    policy = sent_policy(best, machine.client)
    return TargetExplanation(
        rule_type=kind, identifier=identifier, policy=cast("Policy | None", policy), candidates=candidates
    )
