"""Collects the details of one machine."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from santaserver.db import Connection
from santaserver.enrollment.credentials import shown_as
from santaserver.explain.delivery import setting_gaps, why_not_sent, why_replaced
from santaserver.machines import notices, repository
from santaserver.machines.repository import MachineRow
from santaserver.machines.schemas import (
    BoundEnrollment,
    Client,
    CountsDifference,
    CredentialStep,
    HeldRules,
    Machine,
    MachineCredential,
    MachineDetail,
    Notice,
    PreviousSecret,
    SeenSerial,
    UndeliveredRule,
    UndeliveredRules,
    UndeliveredSetting,
)
from santaserver.machines.sync_state import CONFLICT_SHOWN
from santaserver.machines.undelivered_repository import undelivered_rules
from santaserver.policy import rule_sets
from santaserver.policy.capabilities import Capabilities, client_name
from santaserver.policy.head import head_seq
from santaserver.policy.layer_names import layer_names
from santaserver.policy.preparation import when_prepared
from santaserver.policy.rule_log import signature_of
from santaserver.policy.states import PolicyState, RuleCounts
from santaserver.policy.targets import Policy
from santaserver.policy.withholding_repository import WithheldLayer, withheld_from
from santaserver.sync.caches import SyncCaches
from santaserver.sync.preflight import next_drift_clean
from santaserver.sync_settings.log import settings_at

NO_RULES = UndeliveredRules(items=[], total=0)


async def detail_of(
    connection: Connection, caches: SyncCaches, row: MachineRow, shown: Machine, now: datetime
) -> MachineDetail:
    """Return a machine with its client's capabilities, its rules, and its problems."""
    client, rules, settings = None, NO_RULES, list[UndeliveredSetting]()
    if row.signature is not None:
        layers, able = await signature_of(connection, caches, row.signature)
        name = client_name(able, row.santa_version)
        client = Client(family=able.family.value, name=name, takes_all_rules=able.whole_set)
        head = await head_seq(connection)
        rules = await _rules(connection, layers, head, able, name)
        settings = await _settings(connection, row, layers, head, able, name, now)
    difference = _difference(row)
    serials = await _serials(connection, row)
    withheld = await withheld_from(connection, row.id)
    return MachineDetail(
        **shown.model_dump(),
        client=client,
        held_rules=await _held(connection, caches, row),
        notices=_notices(row, client, rules, settings, difference, serials, withheld, now),
        undelivered_rules=rules,
        undelivered_settings=settings,
        counts_difference=difference,
        credential=await _credential(connection, row),
        serials=serials,
    )


async def _credential(connection: Connection, row: MachineRow) -> MachineCredential:
    bound = None
    if row.enrollment is not None:
        bound = BoundEnrollment(
            id=row.enrollment, label=row.enrollment_label or "", ended=row.enrollment_ended
        )
    steps = [
        CredentialStep(at=at, actor=actor, action=action, before=_json(before), after=_json(after))
        for at, actor, action, before, after in await repository.credential_history(
            connection, row.machine_id
        )
    ]
    return MachineCredential(
        enrollment=bound,
        certificate=shown_as(row.certificate),
        previous_secret=None
        if row.secret is None or row.secret_valid_until is None
        else PreviousSecret(id=row.secret, valid_until=row.secret_valid_until),
        refused_enrollment=row.refused_enrollment,
        history=steps,
    )


def _json(text: str | None) -> dict[str, Any] | None:
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])


def _notices(
    row: MachineRow,
    client: Client | None,
    rules: UndeliveredRules,
    settings: Sequence[UndeliveredSetting],
    difference: CountsDifference | None,
    serials: Sequence[SeenSerial],
    withheld: Sequence[WithheldLayer],
    now: datetime,
) -> list[Notice]:
    found = []
    if row.retired_at is not None:
        found.append(notices.retired(tried_at=row.refused_at))
    elif row.refused_at is not None:
        found.append(_refused(row, row.refused_at))
    if row.retired_at is None and row.secret_valid_until is not None and row.secret_valid_until > now:
        found.append(notices.previous_secret(row.enrollment_label or "", row.secret_valid_until))
    if row.released_at is not None:
        found.append(notices.credential_released())
    conflict = row.identity_conflict_at
    if conflict is not None and conflict > now - CONFLICT_SHOWN and len(serials) > 1:
        found.append(notices.identity_conflict(serials))
    if difference is not None:
        found.append(notices.counts_differ(difference))
    if withheld:
        found.append(notices.tags_withheld(withheld))
    if client is not None:
        if client.family == "other":
            found.append(notices.client_unknown(row.santa_version))
        if rules.total:
            found.append(notices.rules_undelivered(client, rules))
        if settings:
            found.append(notices.settings_undelivered(client, settings))
    return found


def _refused(row: MachineRow, at: datetime) -> Notice:
    if row.refused_reason is None:
        return notices.credential_refused(at, row.refused_enrollment)
    return notices.secret_refused(at, row.refused_reason, row.refused_enrollment, row.refused_address or "")


async def _rules(
    connection: Connection,
    layers: Sequence[int],
    head: int,
    able: Capabilities,
    name: str,
) -> UndeliveredRules:
    rows = await undelivered_rules(connection, layers, head, able)
    if not rows:
        return NO_RULES
    names = await layer_names(connection, layers)
    items = []
    for row in rows:
        sent = able.policy(row.rule_type, row.policy, row.needs_level)
        why = (
            why_not_sent(able, name, row.rule_type, row.policy, row.needs_level)
            if sent is None
            else why_replaced(able, name, row.policy, sent)
        )
        items.append(
            UndeliveredRule(
                rule_id=row.rule_id,
                rule_type=row.rule_type,
                identifier=row.identifier,
                policy=row.policy,
                layer=names.get(row.layer_id, ""),
                sent=cast("Policy | None", sent),
                next_policy=row.next_policy,
                next_layer=names.get(row.next_layer) if row.next_layer else None,
                why=why,
            )
        )
    return UndeliveredRules(items=items, total=rows[0].total)


async def _settings(
    connection: Connection,
    row: MachineRow,
    layers: Sequence[int],
    head: int,
    able: Capabilities,
    name: str,
    now: datetime,
) -> list[UndeliveredSetting]:
    settings = await settings_at(connection, layers, head)
    until = row.monitor_until
    values = settings.values_now(monitor_window=until is not None and until > now)
    return [
        UndeliveredSetting(key=gap.key, sent=gap.sent, why=gap.why)
        for gap in setting_gaps(values, able, name)
    ]


async def _held(connection: Connection, caches: SyncCaches, row: MachineRow) -> HeldRules | None:
    signature, seq = row.acked_signature, row.acked_seq
    if signature is None or seq is None:
        return None
    state = PolicyState(signature, seq)
    return _counted(await when_prepared(lambda: rule_sets.counts(connection, caches, state)))


def _difference(row: MachineRow) -> CountsDifference | None:
    if row.drift_since is None:
        return None
    its = RuleCounts(
        binary=max(row.binary_rules - row.transitive_rules, 0),
        certificate=row.certificate_rules,
        teamid=row.teamid_rules,
        signingid=row.signingid_rules,
        cdhash=row.cdhash_rules,
    )
    ours = row.expected_counts
    return CountsDifference(
        since=row.drift_since,
        ours=None if ours is None else _counted(RuleCounts(*ours)),
        its=_counted(its),
        next_clean_at=next_drift_clean(row.drift_cleans, row.last_drift_clean_at),
    )


def _counted(counts: RuleCounts) -> HeldRules:
    return HeldRules(
        binary=counts.binary,
        certificate=counts.certificate,
        teamid=counts.teamid,
        signingid=counts.signingid,
        cdhash=counts.cdhash,
        total=counts.total,
    )


async def _serials(connection: Connection, row: MachineRow) -> list[SeenSerial]:
    """Return them, the newest first; for the present one only changes are stored, so its time is now."""
    seen = []
    for one in await repository.serials_of(connection, row.id):
        last = row.last_preflight_at if one.serial == row.serial else None
        last = max(last, one.last_seen_at) if last is not None else one.last_seen_at
        seen.append(SeenSerial(serial=one.serial, first_seen_at=one.first_seen_at, last_seen_at=last))
    return sorted(seen, key=lambda one: one.last_seen_at, reverse=True)
