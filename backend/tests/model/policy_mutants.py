"""Wrong variants of settings, change sets, times and history; see mutants.py."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from santaserver.policy import layer_log, schedule_repository, setting_log
from santaserver.policy.change import Change
from santaserver.policy.large_change import Wanted
from santaserver.policy.precedence import PRECEDENCE
from santaserver.rules import transfer_service
from santaserver.rules.transfer_recognize import OwnFile
from santaserver.sync import history, repository, service
from santaserver.sync.service import SyncContext
from santaserver.sync.states import Session

HALF_TIME = 0.1
"""Seconds between the halves of an import."""


def settings_are_never_read_again(patch: pytest.MonkeyPatch, _: str) -> None:
    """Settings are remembered by layers, whatever was changed since."""
    render = service._rendered
    first: dict[int, int] = {}

    async def remembered(context: SyncContext, signature: int, seq: int, *, monitored: bool) -> bytes:
        return await render(context, signature, first.setdefault(signature, seq), monitored=monitored)

    patch.setattr(service, "_rendered", remembered)


def locks_of_settings_do_not_count(patch: pytest.MonkeyPatch, _: str) -> None:
    """The highest layer's setting always wins."""
    right = setting_log.IN_FORCE_SETTINGS
    wrong = right.replace(PRECEDENCE, "array_position($1, v.layer_id) desc")
    assert wrong != right
    patch.setattr(setting_log, "IN_FORCE_SETTINGS", wrong)


def monitor_mode_lasts_longer(patch: pytest.MonkeyPatch, _: str) -> None:
    """A Mac stays in monitor mode after its time."""

    def longer(name: str) -> None:
        find = getattr(repository, name)

        async def found(*values: Any) -> Any:  # noqa: ANN401 - passed on
            machine = await find(*values)
            if machine is None or machine.monitor_until is None:
                return machine
            return structs.replace(machine, monitor_until=machine.monitor_until + timedelta(days=30))

        patch.setattr(repository, name, found)

    longer("find_machine")
    longer("lock_machine")


def imports_are_halved(patch: pytest.MonkeyPatch, _: str) -> None:
    """A file is imported in two transactions."""
    whole = transfer_service.import_rules

    async def halved(work: Any, wanted: Any, opening: Callable[[], Any], *rest: Any) -> Any:  # noqa: ANN401
        content = "".join(opening().pieces)
        if wanted.remove_missing:
            return await whole(work, wanted, lambda: OwnFile("json", iter([content])), *rest)
        rules = json.loads(content)["rules"]
        middle = len(rules) // 2
        await whole(work, wanted, lambda: OwnFile("json", iter([file(rules[:middle])])), *rest)
        await work.finish()
        work._entries.clear()
        await work.connection.execute("commit")
        await work.connection.execute("begin")
        await asyncio.sleep(HALF_TIME)
        return await whole(work, wanted, lambda: OwnFile("json", iter([file(rules[middle:])])), *rest)

    patch.setattr(transfer_service, "import_rules", halved)


def file(rules: list[Any]) -> str:
    """Return the text of a file of rules."""
    return json.dumps({"version": 1, "rules": rules})


def pages_are_of_the_newest_policy(patch: pytest.MonkeyPatch, _: str) -> None:
    """A page has what is in force when it is asked for, not when the sync began."""
    rules_of = service._rules_of

    async def newest(context: SyncContext, session: Session, number: int) -> Any:  # noqa: ANN401 - the rules
        seq = await context.connection.fetchval("select seq from policy_head")
        later = structs.replace(session, target=replace(session.target, seq=seq))
        return await rules_of(context, later, number)

    patch.setattr(service, "_rules_of", newest)


def expiry_takes_no_number(patch: pytest.MonkeyPatch, _: str) -> None:
    """What expires ends under a number that Macs have confirmed already."""
    close = schedule_repository.close_expired

    async def under_the_old_number(change: Change) -> list[int]:
        before = change.before
        change.before = structs.replace(before, seq=before.seq - 1)
        try:
            rules = await close(change)
        finally:
            change.before = before
        await schedule_repository.mark_removed(change, rules)
        return []

    patch.setattr(schedule_repository, "close_expired", under_the_old_number)


def only_the_first_layers_are_noted(patch: pytest.MonkeyPatch, _: str) -> None:
    """A Mac's history knows of one set of layers."""
    note = history.note_signature

    async def first(connection: Any, machine: int, *rest: Any) -> None:  # noqa: ANN401 - passed on
        statement = "select exists (select from machine_signature where machine_id = $1)"
        if not await connection.fetchval(statement, machine):
            await note(connection, machine, *rest)

    patch.setattr(history, "note_signature", first)


def confirmations_are_not_noted(patch: pytest.MonkeyPatch, _: str) -> None:
    """A Mac's history does not know what it confirmed."""
    patch.setattr(repository, "CONFIRM_NEWS", repository.CONFIRM)


def layers_decide_alone(patch: pytest.MonkeyPatch, _: str) -> None:
    """A large change of one layer is sent whatever the Mac's other layers say about its targets."""

    async def nothing(_: Any, __: int, others: Any, ___: Any) -> dict[int, list[Any]]:  # noqa: ANN401
        return {other: [] for other in others}

    patch.setattr(layer_log, "shared_with", nothing)


def parts_have_no_number(patch: pytest.MonkeyPatch, _: str) -> None:
    """What a layer contributed once is sent again, whatever was changed since."""
    name = Wanted.part
    first: dict[Any, Any] = {}

    def named(wanted: Wanted, layer: int) -> Any:  # noqa: ANN401 - the part's key
        key = name(wanted, layer)
        return first.setdefault((layer, key.code, bool(key.span.bases)), key)

    patch.setattr(Wanted, "part", named)


POLICY_MUTANTS = (
    settings_are_never_read_again,
    locks_of_settings_do_not_count,
    monitor_mode_lasts_longer,
    imports_are_halved,
    expiry_takes_no_number,
    only_the_first_layers_are_noted,
    confirmations_are_not_noted,
    layers_decide_alone,
    parts_have_no_number,
)
