"""Shows machines and takes orders for them."""

from datetime import datetime, timedelta
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.errors import NotFound
from santaserver.live.messages import MachineChanged, message
from santaserver.machines import repository
from santaserver.machines.repository import MachineRow
from santaserver.machines.schemas import CleanKind, LastSync, Machine, RuleCounts, SyncState
from santaserver.models import Machine as Row
from santaserver.models import MachineSync, SyncSession
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.sync_settings.service import get_settings
from santaserver.users.repository import audit
from santaserver.users.schemas import User

MISSED_SYNCS = 3
GRACE = timedelta(minutes=5)
MAX_ROW_ID = 2**63 - 1


async def list_machines(
    session: AsyncSession, now: datetime, cursor: str | None, limit: int, text: str
) -> Page[Machine]:
    """Return a page of machines by host name."""
    key = decode_cursor(cursor, (str, int))
    after = (str(key[0]), max(min(int(key[1]), MAX_ROW_ID), 0)) if key else None
    rows = await repository.list_machines(session, now, await overdue_after(session), after, limit + 1, text)
    page = rows[:limit]
    following = encode_cursor((page[-1][0].hostname, page[-1][0].id)) if len(rows) > limit else None
    return Page(items=[_machine(row) for row in page], next_cursor=following)


async def get_machine(session: AsyncSession, machine_id: str, now: datetime) -> Machine:
    """Return one machine."""
    return _machine(await _find(session, machine_id, now))


async def order_clean_sync(
    session: AsyncSession, machine_id: str, kind: CleanKind, user: User, now: datetime
) -> Machine:
    """Have the machine's rule table rebuilt at its next sync."""
    found = await _find(session, machine_id, now)
    row = found[0]
    await repository.queue_clean(session, row.id, kind)
    actor = (user.id, user.username)
    audit(session, actor, now, "clean_sync_ordered", ("machine", row.machine_id), None, {"kind": kind})
    change = MachineChanged(
        at=now, machine_id=row.machine_id, hostname=row.hostname, change="clean_sync_ordered"
    )
    session.info["outbox"].add(message(change))
    return _machine(found)


async def overdue_after(session: AsyncSession) -> timedelta:
    """Return how long a Mac may be silent: three missed syncs and a little."""
    settings = await get_settings(session)
    return timedelta(seconds=settings.full_sync_interval) * MISSED_SYNCS + GRACE


async def _find(session: AsyncSession, machine_id: str, now: datetime) -> MachineRow:
    clean = machine_id.replace("\0", "")
    row = await repository.find_machine(session, clean, now, await overdue_after(session))
    if row is None:
        raise NotFound("There is no such machine")
    return row


def _machine(row: MachineRow) -> Machine:
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
        last_preflight_at=progress.last_preflight_at,
        last_postflight_at=progress.last_postflight_at,
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
