"""The policy of a machine at a moment: what it was to have, where that came from, and what it had confirmed.

Everything follows from three facts of the moment: the newest policy number, the machine's signature, and the
state that it had confirmed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from santaserver.db import Connection
from santaserver.errors import NotFound, wrong_field
from santaserver.machines import policy_repository as repository
from santaserver.machines.items import machine_tag as _tag
from santaserver.machines.policy_repository import KnownMachine
from santaserver.machines.policy_rules import NOT_KEPT, Had, PolicyView, Shown, rules_page
from santaserver.machines.policy_schemas import (
    ConfirmedPolicy,
    MachinePolicyThen,
    MonitorWindowThen,
    RuleThen,
    SettingThen,
)
from santaserver.paging import decode_cursor, encode_cursor
from santaserver.policy import head
from santaserver.policy.rule_log import signature_of
from santaserver.policy.setting_log import SettingVersion, settings_in_force
from santaserver.reads import item_of
from santaserver.scope import Scope
from santaserver.settings import RetentionSettings
from santaserver.sync.caches import SyncCaches
from santaserver.sync.history import Confirmation, confirmation_at, signature_at
from santaserver.sync_settings.log import layered

TICK = timedelta(microseconds=1)
NOTHING = object()

_policy = item_of(MachinePolicyThen)
_confirmed_policy = item_of(ConfirmedPolicy)
_window = item_of(MonitorWindowThen)
_setting = item_of(SettingThen)
_rule_item = item_of(RuleThen)


class PolicyQuery(Struct, frozen=True):
    """Which moment is asked for, and which page of its rules."""

    at: datetime | None
    seq: int | None
    cursor: str | None
    limit: int


class Moment(Struct, frozen=True):
    """A moment, and the number of the policy that was the newest then."""

    field: str
    """The parameter that it comes from, for errors."""
    at: datetime
    seq: int


async def policy_at(
    connection: Connection,
    scope: Scope,
    caches: SyncCaches,
    machine_id: str,
    query: PolicyQuery,
    now: datetime,
    keep: RetentionSettings,
) -> Struct:
    """Return a machine's policy at a time or a policy number, as `MachinePolicyThen` describes it."""
    machine = await repository.known_machine(connection, scope, machine_id)
    if machine is None:
        raise NotFound("There is no such machine")
    cursor = decode_cursor(query.cursor, (str, str))
    moment = await _moment(connection, query, now)
    since, view = await _decided(connection, caches, machine, moment, now - timedelta(days=keep.history_days))
    kept = moment.at >= now - timedelta(days=keep.confirmation_days)
    confirmation = await confirmation_at(connection, machine.id, moment.at) if kept else None
    had = await _confirmed_view(connection, caches, confirmation)
    after = (str(cursor[0]), str(cursor[1])) if cursor else ("", "")
    page = await rules_page(connection, view, had if kept else NOT_KEPT, after, query.limit)
    layers = {*view.layers, *(had.layers if had else ())}
    names = await repository.layer_names_at(connection, sorted(layers), moment.seq)
    monitor = await _monitor_mode(connection, machine, moment)
    return _policy(
        machine_id=machine.machine_id,
        at=moment.at,
        seq=moment.seq,
        layers=[names[layer] for layer in view.layers],
        layers_since=since,
        client=view.client.family.value,
        tags=await _tags(connection, machine, moment),
        monitor_mode=monitor,
        settings=await _settings(
            connection, view, had if kept else NOT_KEPT, names, monitored=monitor is not None
        ),
        confirmed=_confirmed(confirmation, view),
        confirmations_kept=kept,
        rules=[_rule(shown, names) for shown in page.rules],
        next_cursor=encode_cursor(page.following) if page.following else None,
    )


async def _moment(connection: Connection, query: PolicyQuery, now: datetime) -> Moment:
    if (query.at is None) == (query.seq is None):
        raise wrong_field("at", "Give either a time as `at` or a policy number as `seq`")
    if query.at is not None:
        if query.at > now:
            raise wrong_field("at", f"The time is in the future; it is {_shown(now)} here")
        return Moment("at", query.at, await head.seq_at(connection, query.at))
    seq = query.seq or 0
    newest = await head.head_seq(connection)
    if seq > newest:
        raise wrong_field("seq", f"There is no such policy number yet; the newest is {newest}")
    began, followed = await head.span_of(connection, seq)
    at = now if followed is None else followed - TICK
    return Moment("seq", at if began is None else max(at, began), seq)


async def _decided(
    connection: Connection,
    caches: SyncCaches,
    machine: KnownMachine,
    moment: Moment,
    kept_since: datetime,
) -> tuple[datetime, PolicyView]:
    """Return since when the machine's layers were what they were, and its policy."""
    if moment.at < machine.enrolled_at:
        raise wrong_field(moment.field, f"The machine was first seen at {_shown(machine.enrolled_at)}")
    if moment.at < kept_since:
        why = f"The history of machines is kept since {_shown(kept_since)} (HISTORY_RETENTION_DAYS)"
        raise wrong_field(moment.field, why)
    found = await signature_at(connection, machine.id, moment.at)
    if found is None:
        raise wrong_field(moment.field, "The machine had not begun a sync by then, so it had no policy")
    since, signature = found
    if signature is None:
        raise wrong_field(moment.field, f"The machine was retired at {_shown(since)}, so it had no policy")
    layers, client = await signature_of(connection, caches, signature)
    return since, PolicyView(signature, layers, client, moment.seq)


async def _tags(connection: Connection, machine: KnownMachine, moment: Moment) -> list[Struct]:
    rows = await repository.tags_at(
        connection, machine.id, moment.seq, moment.at, by_number=moment.field == "seq"
    )
    return [_tag(*row) for row in rows]


async def _monitor_mode(connection: Connection, machine: KnownMachine, moment: Moment) -> Struct | None:
    window = await repository.monitor_window_at(connection, machine.id, moment.at)
    return _window(*window) if window else None


async def _confirmed_view(
    connection: Connection, caches: SyncCaches, confirmation: Confirmation | None
) -> PolicyView | None:
    if confirmation is None or confirmation.state is None:
        return None
    state = confirmation.state
    layers, client = await signature_of(connection, caches, state.signature)
    return PolicyView(state.signature, layers, client, state.seq)


def _confirmed(confirmation: Confirmation | None, view: PolicyView) -> Struct | None:
    if confirmation is None or confirmation.state is None:
        return None
    return _confirmed_policy(
        seq=confirmation.state.seq,
        at=confirmation.at,
        same_layers=confirmation.state.signature == view.signature,
    )


async def _settings(
    connection: Connection,
    view: PolicyView,
    had: Had,
    names: Mapping[int, str],
    *,
    monitored: bool,
) -> dict[str, Struct]:
    versions = {one.key: one for one in await settings_in_force(connection, view.layers, view.seq)}
    made = layered(list(versions.values()))
    monitored = monitored and made.can_be_monitored
    sent = _sent(view, list(versions.values()), monitored=monitored)
    before = {}
    if isinstance(had, PolicyView):
        before = _sent(had, await settings_in_force(connection, had.layers, had.seq))
    changes = await repository.changes_of(connection, [one.opened_seq for one in versions.values()])
    found = {}
    for key, value in sent.items():
        temporary = monitored and key == "client_mode"
        version = None if temporary else versions.get(key)
        change = changes.get(version.opened_seq) if version else None
        found[key] = _setting(
            value=value,
            layer=names[version.layer_id] if version else None,
            locked=version.locked if version else False,
            seq=version.opened_seq if version else None,
            changed_at=change.at if change else None,
            changed_by=change.actor if change else None,
            reason=change.reason if change else "",
            confirmed=None if temporary or had is NOT_KEPT else before.get(key, NOTHING) == value,
        )
    return found


def _sent(view: PolicyView, versions: Sequence[SettingVersion], *, monitored: bool = False) -> dict[str, Any]:
    values = layered(versions).values_now(monitor_window=monitored).model_dump(mode="json")
    return values | {"client_mode": view.client.mode(values["client_mode"])}


def _rule(shown: Shown, names: Mapping[int, str]) -> Struct:
    version, content = shown.version, shown.version.content
    return _rule_item(
        rule_id=version.rule_id,
        version_id=version.id,
        rule_type=content.rule_type,
        identifier=content.identifier,
        policy=content.policy,
        sent=shown.sent,
        cel_expr=content.cel_expr,
        custom_msg=content.custom_msg,
        custom_url=content.custom_url,
        layer=names[version.layer_id],
        locked=version.locked,
        comment=version.comment,
        reason=version.reason,
        seq=version.opened_seq,
        in_force_since=version.in_force_since,
        written_at=version.opened_at,
        written_by=version.opened_by,
        expires_at=version.expires_at,
        delivery=shown.delivery,
    )


def _shown(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
