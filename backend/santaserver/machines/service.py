"""Shows machines; orders clean syncs and monitor mode."""

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, to_builtins

from santaserver.audit import Target
from santaserver.clock import stamp
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.live.messages import MachineChange, MachineChanged
from santaserver.machines import repository
from santaserver.machines.detail import detail_of
from santaserver.machines.items import machine_etag, machine_of, machine_tag
from santaserver.machines.repository import ListFilter, MachineRow, MonitorWindow
from santaserver.machines.schemas import CleanKind, Machine, MachineCount, MachineDetail, MonitorMode
from santaserver.outbox import message
from santaserver.paging import decode_cursor
from santaserver.preconditions import IfMatch
from santaserver.reads import ItemPage, page_of
from santaserver.scope import Scope
from santaserver.stale import Version, check
from santaserver.sync.caches import SyncCaches
from santaserver.sync_settings.service import locked_mode_owner
from santaserver.unit_of_work import UnitOfWork

NO_MACHINE = "There is no such machine"
STATE = ("monitor_until", "retired_at", "released_at")
"""What administrators set on a machine; also the names in the audit log."""


async def list_machines(
    connection: Connection,
    scope: Scope,
    now: datetime,
    cursor: str | None,
    limit: int,
    wanted: ListFilter,
) -> ItemPage:
    """Return a page of machines by host name."""
    key = decode_cursor(cursor, (str, int))
    after = (str(key[0]), int(key[1])) if key else None
    rows = await repository.list_machines(connection, scope, now, after, limit + 1, wanted)
    return page_of(rows, limit, machine_of, lambda row: (row["hostname"], row["row_id"]))


async def get_machine(
    connection: Connection, scope: Scope, caches: SyncCaches, machine_id: str, now: datetime
) -> MachineDetail:
    """Return one machine."""
    row = await _find(connection, scope, machine_id, now)
    listed = await repository.read_machine(connection, scope, row.machine_id, now)
    shown = Machine.model_validate(to_builtins(machine_of(listed), builtin_types=(datetime,)))
    return await detail_of(connection, caches, row, shown, now)


async def tags_of_machine(connection: Connection, scope: Scope, machine_id: str) -> list[Struct]:
    """Return the tags that a machine has, the highest first."""
    rows = await repository.memberships(connection, scope, machine_id)
    if rows is None:
        raise NotFound(NO_MACHINE)
    return [machine_tag(*row) for row in rows]


async def order_clean_sync(
    work: UnitOfWork,
    scope: Scope,
    caches: SyncCaches,
    machine_id: str,
    kind: CleanKind,
    user: User,
    now: datetime,
) -> MachineDetail:
    """Order a rebuild of the machine's rule table at its next sync."""
    row = await _find(work.connection, scope, machine_id, now, syncing=True)
    await repository.queue_clean(work.connection, row.id, kind)
    work.audit(user.actor, now, "clean_sync_ordered", _target(row), None, {"kind": kind})
    return await _changed(work, scope, caches, machine_id, "clean_sync_ordered", now)


async def start_monitor_mode(
    work: UnitOfWork,
    scope: Scope,
    caches: SyncCaches,
    machine_id: str,
    order: MonitorMode,
    expected: IfMatch,
    user: User,
    now: datetime,
) -> MachineDetail:
    """Make a machine's syncs send MONITOR for a limited time; a running window is replaced."""
    connection = work.connection
    row = await lock_version(connection, scope, caches, machine_id, expected, now)
    _refuse_retired(row)
    await _refuse_locked_mode(connection, row.signature)
    until = now + timedelta(minutes=order.minutes)
    reason = order.reason.strip()
    if not reason:
        raise wrong_field("reason", "The reason is blank: say why the machine needs monitor mode")
    await repository.set_monitor_until(connection, row.id, until)
    await repository.end_monitor_windows(connection, row.id, user.id, now)
    await repository.add_monitor_window(connection, MonitorWindow(row.id, now, until, reason, user.id))
    before, after = _window(row.monitor_until), {**_window(until), "reason": reason}
    work.audit(user.actor, now, "monitor_mode_started", _target(row), before, after)
    return await _changed(work, scope, caches, machine_id, "monitor_mode_started", now)


async def end_monitor_mode(
    work: UnitOfWork,
    scope: Scope,
    caches: SyncCaches,
    machine_id: str,
    expected: IfMatch,
    user: User,
    now: datetime,
) -> MachineDetail:
    """End a machine's monitor window early; without one nothing happens."""
    connection = work.connection
    row = await lock_version(connection, scope, caches, machine_id, expected, now)
    if row.monitor_until is None or row.monitor_until <= now:
        return await get_machine(connection, scope, caches, machine_id, now)
    before = _window(row.monitor_until)
    await repository.set_monitor_until(connection, row.id, None)
    await repository.end_monitor_windows(connection, row.id, user.id, now)
    work.audit(user.actor, now, "monitor_mode_ended", _target(row), before, _window(None))
    return await _changed(work, scope, caches, machine_id, "monitor_mode_ended", now)


async def _refuse_locked_mode(connection: Connection, signature: int | None) -> None:
    owner = await locked_mode_owner(connection, signature)
    if owner is not None:
        raise Conflict(f"The layer {owner} locks the client mode; unlock it there first")


async def _changed(
    work: UnitOfWork,
    scope: Scope,
    caches: SyncCaches,
    machine_id: str,
    change: MachineChange,
    now: datetime,
) -> MachineDetail:
    shown = await get_machine(work.connection, scope, caches, machine_id, now)
    told = MachineChanged(at=now, machine_id=shown.machine_id, hostname=shown.hostname, change=change)
    work.outbox.add(message(told))
    return shown


async def count_machines(connection: Connection, scope: Scope, wanted: ListFilter) -> MachineCount:
    """Count the machines in scope that match a filter."""
    return MachineCount(count=await repository.count_machines(connection, scope, wanted))


async def _find(
    connection: Connection, scope: Scope, machine_id: str, now: datetime, *, syncing: bool = False
) -> MachineRow:
    row = await repository.find_machine(connection, scope, machine_id, now)
    if row is None:
        raise NotFound(NO_MACHINE)
    if syncing:
        _refuse_retired(row)
    return row


def _refuse_retired(row: MachineRow) -> None:
    if row.retired_at is not None:
        raise Conflict("The machine was retired, so it does not sync; restore it first")


async def lock_version(
    connection: Connection,
    scope: Scope,
    caches: SyncCaches,
    machine_id: str,
    expected: IfMatch,
    now: datetime,
) -> MachineRow:
    """Return a machine that nobody else changes until the end of the transaction, if it is this version."""
    row = await repository.lock_machine(connection, scope, machine_id, now)
    if row is None:
        raise NotFound(NO_MACHINE)
    state = {name: getattr(row, name) for name in STATE}
    if not expected.holds(machine_etag(row.machine_id, *state.values())):
        shown = await get_machine(connection, scope, caches, row.machine_id, now)
        await check(connection, expected, Version("machine", row.machine_id, state, shown))
    return row


def _window(until: datetime | None) -> dict[str, Any]:
    """Return what administrators set, as the audit log has it."""
    return {"monitor_until": stamp(until)}


def _target(row: MachineRow) -> Target:
    return "machine", row.machine_id
