"""Shows machines and takes orders for them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.errors import Conflict, FieldProblem, NotFound, Unprocessable
from santaserver.live.messages import MachineChange, MachineChanged, message
from santaserver.machines import repository
from santaserver.machines.detail import detail_of
from santaserver.machines.repository import MachineRow
from santaserver.machines.schemas import (
    CleanKind,
    LastSync,
    Machine,
    MachineDetail,
    MachineTag,
    MonitorMode,
    RuleCounts,
    SyncState,
)
from santaserver.models import Machine as Row
from santaserver.models import MachineSync, MonitorWindow, SyncSession
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.sync.caches import SyncCaches
from santaserver.sync_settings.service import locked_mode_owner
from santaserver.users.repository import audit
from santaserver.users.schemas import User

MAX_ROW_ID = 2**63 - 1


async def list_machines(
    session: AsyncSession, now: datetime, cursor: str | None, limit: int, text: str
) -> Page[Machine]:
    """Return a page of machines by host name."""
    key = decode_cursor(cursor, (str, int))
    after = (str(key[0]), max(min(int(key[1]), MAX_ROW_ID), 0)) if key else None
    rows = await repository.list_machines(session, now, after, limit + 1, text)
    page = rows[:limit]
    following = encode_cursor((page[-1].machine.hostname, page[-1].machine.id)) if len(rows) > limit else None
    return Page(items=await _show(session, page), next_cursor=following)


async def get_machine(
    session: AsyncSession, caches: SyncCaches, machine_id: str, now: datetime
) -> MachineDetail:
    """Return one machine."""
    row = await _find(session, machine_id, now)
    return await detail_of(session, caches, row, (await _show(session, [row]))[0], now)


async def tags_of_machine(session: AsyncSession, machine_id: str, now: datetime) -> list[MachineTag]:
    """Return the tags that a machine has, the highest first."""
    row = (await _find(session, machine_id, now)).machine
    return [
        MachineTag.model_validate({"id": tag, "name": name, "sources": sources, "joined_at": joined_at})
        for tag, name, sources, joined_at in await repository.memberships(session, row.id)
    ]


async def order_clean_sync(
    session: AsyncSession, caches: SyncCaches, machine_id: str, kind: CleanKind, user: User, now: datetime
) -> MachineDetail:
    """Have the machine's rule table rebuilt at its next sync."""
    row = (await _find(session, machine_id, now)).machine
    await repository.queue_clean(session, row.id, kind)
    actor = (user.id, user.username)
    audit(session, actor, now, "clean_sync_ordered", ("machine", row.machine_id), None, {"kind": kind})
    return await _changed(session, caches, machine_id, "clean_sync_ordered", now)


async def start_monitor_mode(
    session: AsyncSession, caches: SyncCaches, machine_id: str, order: MonitorMode, user: User, now: datetime
) -> MachineDetail:
    """Have a machine's syncs answer MONITOR for a while; a running window is replaced."""
    found = await _find(session, machine_id, now)
    row, progress = found.machine, found.progress
    await _refuse_locked_mode(session, progress.signature)
    until = now + timedelta(minutes=order.minutes)
    reason = order.reason.strip()
    if not reason or any(char == "\0" or "\ud800" <= char <= "\udfff" for char in reason):
        wrong = "Say why, in characters that can be stored"
        raise Unprocessable(wrong, errors=(FieldProblem(field="reason", message=wrong),))
    await repository.set_monitor_until(session, row.id, until)
    await repository.end_monitor_windows(session, row.id, user.id, now)
    session.add(
        MonitorWindow(machine_id=row.id, starts_at=now, ends_at=until, reason=reason, opened_by=user.id)
    )
    actor, after = (user.id, user.username), {"until": until.isoformat(), "reason": reason}
    audit(session, actor, now, "monitor_mode_started", ("machine", row.machine_id), None, after)
    return await _changed(session, caches, machine_id, "monitor_mode_started", now)


async def end_monitor_mode(
    session: AsyncSession, caches: SyncCaches, machine_id: str, user: User, now: datetime
) -> MachineDetail:
    """End a machine's monitor window early; without one nothing happens."""
    found = await _find(session, machine_id, now)
    row, progress = found.machine, found.progress
    if progress.monitor_until is None or progress.monitor_until <= now:
        return await get_machine(session, caches, machine_id, now)
    before = {"until": progress.monitor_until.isoformat()}
    await repository.set_monitor_until(session, row.id, None)
    await repository.end_monitor_windows(session, row.id, user.id, now)
    actor = (user.id, user.username)
    audit(session, actor, now, "monitor_mode_ended", ("machine", row.machine_id), before, None)
    return await _changed(session, caches, machine_id, "monitor_mode_ended", now)


async def _refuse_locked_mode(session: AsyncSession, signature: int | None) -> None:
    owner = await locked_mode_owner(session, signature)
    if owner is not None:
        raise Conflict(f"The layer {owner} locks the client mode; unlock it there first")


async def _changed(
    session: AsyncSession, caches: SyncCaches, machine_id: str, change: MachineChange, now: datetime
) -> MachineDetail:
    await session.flush()
    session.expire_all()
    shown = await get_machine(session, caches, machine_id, now)
    told = MachineChanged(at=now, machine_id=shown.machine_id, hostname=shown.hostname, change=change)
    session.info["outbox"].add(message(told))
    return shown


async def _find(session: AsyncSession, machine_id: str, now: datetime) -> MachineRow:
    clean = machine_id.replace("\0", "")
    row = await repository.find_machine(session, clean, now)
    if row is None:
        raise NotFound("There is no such machine")
    return row


async def _show(session: AsyncSession, rows: Sequence[MachineRow]) -> list[Machine]:
    signatures = {row.progress.signature for row in rows if row.progress.signature is not None}
    tags = await repository.tags_of(session, signatures) if signatures else {}
    return [_machine(row, tags.get(row.progress.signature or 0, [])) for row in rows]


def _machine(row: MachineRow, tags: list[str]) -> Machine:
    machine, progress, newest, state = row
    return Machine(
        machine_id=machine.machine_id,
        serial=machine.serial,
        hostname=machine.hostname,
        model=machine.model,
        os_version=machine.os_version,
        os_build=machine.os_build,
        santa_version=machine.santa_version,
        primary_user=machine.primary_user,
        client_mode=machine.client_mode,
        sync_state=cast("SyncState", state),
        tags=tags,
        monitor_until=progress.monitor_until,
        queued_clean=cast("CleanKind | None", progress.queued_clean),
        last_preflight_at=progress.last_preflight_at,
        last_postflight_at=progress.last_postflight_at,
        last_clean_at=progress.last_clean_at,
        enrolled_at=machine.enrolled_at,
        rule_counts=_counts(machine),
        last_sync=_last_sync(progress, newest),
    )


def _counts(machine: Row) -> RuleCounts:
    return RuleCounts(
        binary=machine.binary_rules,
        certificate=machine.certificate_rules,
        teamid=machine.teamid_rules,
        signingid=machine.signingid_rules,
        cdhash=machine.cdhash_rules,
        compiler=machine.compiler_rules,
        transitive=machine.transitive_rules,
    )


def _last_sync(progress: MachineSync, newest: SyncSession | None) -> LastSync | None:
    """Show the newest sync; one that had nothing to send has left no row of its own."""
    began = progress.last_preflight_at
    if newest is None or (began is not None and newest.started_at < began):
        if began is None:
            return None
        ended = progress.last_postflight_at
        done = ended if ended is not None and ended >= began else None
        got = None if done is None else 0
        return LastSync(
            kind="normal", clean_reason=None, sent=0, received=got, processed=got, finished_at=done
        )
    return LastSync.model_validate(
        {
            "kind": newest.kind,
            "clean_reason": newest.clean_reason,
            "sent": progress.pending_sent if newest.id == progress.pending_session else newest.sent_count,
            "received": newest.received_count,
            "processed": newest.processed_count,
            "finished_at": newest.finished_at if newest.state in {"acked", "refused"} else None,
        }
    )
