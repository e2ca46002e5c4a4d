"""Explains rules and settings of one machine."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.db import driver
from santaserver.errors import NotFound, Unprocessable
from santaserver.explain import repository
from santaserver.explain.repository import Position
from santaserver.explain.schemas import (
    Candidate,
    EffectiveRule,
    Explanation,
    Outcome,
    SettingExplanation,
    SettingsExplanation,
    TargetExplanation,
)
from santaserver.explain.verdict import Claim, rule_on, sent_policy
from santaserver.layers.repository import layer_names
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.policy.targets import Policy, RuleType, check_identifier
from santaserver.sync_settings.log import LayeredSettings, settings_at
from santaserver.sync_settings.schemas import ClientMode, SyncSettings

ORDER: Sequence[RuleType] = ("CDHASH", "BINARY", "SIGNINGID", "CERTIFICATE", "TEAMID")
"""Santa uses the first of these that has a rule."""


async def explain(
    session: AsyncSession, machine_id: str, identifiers: Mapping[RuleType, str | None], now: datetime
) -> Explanation:
    """Say what decides about a program that has these identifiers on a machine."""
    place = await _position(session, machine_id)
    asked = [(kind, identifiers[kind]) for kind in ORDER if identifiers.get(kind)]
    if not asked:
        raise Unprocessable("Name at least one identifier of the program: its hash, or who signed it")
    names = await layer_names(session, place.layers)
    targets = [
        await _target(session, place, names, kind, check_identifier(kind, identifier or ""))
        for kind, identifier in asked
    ]
    decided_by = next((target.rule_type for target in targets if target.policy is not None), None)
    for target in targets:
        if decided_by is not None and target.rule_type != decided_by:
            _outrank(target, decided_by)
    settings = await settings_at(await driver(session), place.layers, place.head)
    monitored = _monitored(place, settings, now)
    return Explanation(
        machine_id=place.machine_id,
        seq=place.head,
        confirmed=place.confirmed,
        layers=[names[layer] for layer in place.layers if layer in names],
        targets=targets,
        decided_by=decided_by,
        client_mode="MONITOR" if monitored else _sent_mode(place, settings),
        mode_layer=None if monitored else names.get(settings.owners.get("client_mode", 0)),
        monitored=monitored,
    )


async def explain_settings(session: AsyncSession, machine_id: str, now: datetime) -> SettingsExplanation:
    """Say which settings a machine is answered, and which layers they come from."""
    place = await _position(session, machine_id)
    names = await layer_names(session, place.layers)
    settings = await settings_at(await driver(session), place.layers, place.head)
    origins = {
        key: SettingExplanation(layer=names.get(settings.owners.get(key, 0)), locked=key in settings.locked)
        for key in SyncSettings.model_fields
    }
    return SettingsExplanation(
        machine_id=place.machine_id,
        settings=settings.values.model_copy(update={"client_mode": _sent_mode(place, settings)}),
        origins=origins,
        monitored=_monitored(place, settings, now),
    )


def _sent_mode(place: Position, settings: LayeredSettings) -> ClientMode:
    return cast("ClientMode", place.client.mode(settings.values.client_mode))


def _monitored(place: Position, settings: LayeredSettings, now: datetime) -> bool:
    open_window = place.monitor_until is not None and place.monitor_until > now
    return open_window and "client_mode" not in settings.locked


def _outrank(target: TargetExplanation, decided_by: RuleType) -> None:
    """Say of a target's best rule that Santa does not get as far as to it."""
    for candidate in target.candidates:
        if candidate.outcome == "wins":
            candidate.outcome = "outranked"
            candidate.why = f"Santa uses the {decided_by} rule, which is looked at before {target.rule_type}"


async def effective_rules(
    session: AsyncSession, machine_id: str, cursor: str | None, limit: int, text: str
) -> Page[EffectiveRule]:
    """Return a page of the rules that a machine should have, each with the layer that it comes from."""
    place = await _position(session, machine_id)
    key = decode_cursor(cursor, (str, str))
    after = (str(key[0]), str(key[1])) if key else ("", "")
    names = await layer_names(session, place.layers)
    rows = await repository.effective_rules(await driver(session), place, after, limit + 1, text)
    page = rows[:limit]
    items = [
        EffectiveRule.model_validate(
            {
                **{name: row[name] for name in EffectiveRule.model_fields if name in row},
                "layer": names[row["layer_id"]],
                "policy": sent_policy(
                    Claim(0, row["rule_type"], row["policy"], row["locked"], row["needs_level"]), place.client
                ),
            }
        )
        for row in map(dict, page)
    ]
    following = encode_cursor((page[-1]["rule_type"], page[-1]["identifier"])) if len(rows) > limit else None
    return Page(items=items, next_cursor=following)


async def _position(session: AsyncSession, machine_id: str) -> Position:
    place = await repository.position(session, machine_id)
    if place is None:
        raise NotFound("There is no such machine, or it has not begun a sync yet")
    return place


async def _target(
    session: AsyncSession, place: Position, names: Mapping[int, str], kind: RuleType, identifier: str
) -> TargetExplanation:
    rows = await repository.candidates(await driver(session), place, kind, identifier)
    ranks = {layer: rank for rank, layer in enumerate(place.layers)}
    claims = [
        (Claim(ranks[row["layer_id"]], kind, row["policy"], row["locked"], row["needs_level"]), row)
        for row in rows
    ]
    best = claims[0][0] if claims else None
    candidates = []
    for claim, row in sorted(claims, key=lambda pair: pair[0].rank):
        ruling = rule_on(claim, best or claim, place.client, place.name)
        candidates.append(
            Candidate(
                rule_id=row["rule_id"],
                layer=names[row["layer_id"]],
                policy=cast("Policy", row["policy"]),
                locked=row["locked"],
                outcome=cast("Outcome", ruling.outcome),
                why=ruling.why,
            )
        )
    policy = sent_policy(best, place.client)
    return TargetExplanation(
        rule_type=kind, identifier=identifier, policy=cast("Policy | None", policy), candidates=candidates
    )
